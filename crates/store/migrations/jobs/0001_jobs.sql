-- Jobs: many inputs that are answered in time. Apart from the rest: it is written for each item.
-- `state`: 0 its items still arrive, 1 it is worked on, 2 done, 3 cancelled. `taken`: whether
-- somebody worked on it. `waits`: why none of its
-- items is begun at present. `key_hash`, `body_hash`: of the Idempotency-Key that it came with, and of
-- its body. Times are Unix microseconds, cost is in nano-dollars.
CREATE TABLE jobs (
    id BLOB PRIMARY KEY,
    team TEXT NOT NULL,
    intent TEXT NOT NULL,
    state INTEGER NOT NULL,
    created_us INTEGER NOT NULL,
    ended_us INTEGER,
    items INTEGER NOT NULL,
    succeeded INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    cost INTEGER NOT NULL,
    cost_known INTEGER NOT NULL,
    taken INTEGER NOT NULL,
    waits TEXT,
    key_hash TEXT,
    body_hash TEXT,
    job TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX jobs_of_team ON jobs (team, id);
CREATE INDEX jobs_open ON jobs (state, id) WHERE state < 2;
CREATE UNIQUE INDEX jobs_by_key ON jobs (team, key_hash) WHERE key_hash IS NOT NULL;

-- `state`: 0 waiting, 1 answered, 2 failed. `round` names the execution that is, or will be, the
-- item's; `tries` are those that failed and count. `input` goes when `result` comes. `reply` is what
-- a batch of the provider answered, until it is judged.
CREATE TABLE items (
    job BLOB NOT NULL,
    place INTEGER NOT NULL,
    state INTEGER NOT NULL,
    round INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    input TEXT,
    reply TEXT,
    result TEXT,
    PRIMARY KEY (job, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX items_waiting ON items (job, place) WHERE state = 0;

-- Batches at a provider, written before they are handed in. `batch` is the provider's id, once known.
-- `held`: the most that it costs, in nano-dollars. `state`: 0 to be handed in, 1 handed in, 2 over: its answers are kept with the items.
CREATE TABLE batches (
    job BLOB NOT NULL,
    number INTEGER NOT NULL,
    model TEXT NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    state INTEGER NOT NULL,
    begun_us INTEGER NOT NULL,
    held INTEGER NOT NULL,
    file TEXT,
    batch TEXT,
    told TEXT,
    PRIMARY KEY (job, number)
) STRICT, WITHOUT ROWID;
