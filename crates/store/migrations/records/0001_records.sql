-- Records, as the journal gives them. `row` is the journal's sequence. `intent` is '' for raw model
-- calls. Times are Unix microseconds, durations microseconds, money nano-dollars.
CREATE TABLE executions (
    row INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    team TEXT NOT NULL,
    intent TEXT NOT NULL,
    started_at_us INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    status TEXT NOT NULL,
    via TEXT,
    model TEXT,
    error TEXT,
    cost INTEGER NOT NULL,
    cost_known INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL
) STRICT;
CREATE INDEX executions_of_team ON executions (team, id);
CREATE INDEX executions_by_age ON executions (intent, started_at_us);

CREATE TABLE attempts (
    row INTEGER NOT NULL,
    position INTEGER NOT NULL,
    model TEXT NOT NULL,
    kind TEXT NOT NULL,
    outcome TEXT NOT NULL,
    duration_us INTEGER NOT NULL,
    cost INTEGER,
    PRIMARY KEY (row, position)
) STRICT, WITHOUT ROWID;

-- The whole record: JSON in an LZ4 block behind its length.
CREATE TABLE bodies (row INTEGER PRIMARY KEY, record BLOB NOT NULL) STRICT;

-- Sums over the executions that started within a span of time: a tally as JSON.
CREATE TABLE rollups (
    start_us INTEGER NOT NULL,
    span_us INTEGER NOT NULL,
    team TEXT NOT NULL,
    intent TEXT NOT NULL,
    tally TEXT NOT NULL,
    PRIMARY KEY (start_us, span_us, team, intent)
) STRICT;

-- Streams without their final record yet: the journal's entry as JSON.
CREATE TABLE opened (id BLOB PRIMARY KEY, entry TEXT NOT NULL) STRICT;

CREATE TABLE events (row INTEGER PRIMARY KEY, event TEXT NOT NULL) STRICT;

-- Entries that this program could not understand, kept for one that can.
CREATE TABLE unreadable (row INTEGER PRIMARY KEY, kind INTEGER NOT NULL, version INTEGER NOT NULL, payload BLOB NOT NULL, reason TEXT NOT NULL) STRICT;

-- How far the journal has been taken over, and how often that was made durable.
CREATE TABLE progress (only INTEGER PRIMARY KEY CHECK (only = 0), sequence INTEGER NOT NULL, synced INTEGER NOT NULL) STRICT;
INSERT INTO progress VALUES (0, 0, 0);
