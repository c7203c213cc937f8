-- The semantic cache: what was answered, and the evidence by which answers may be given again. A file of
-- its own: to lose it is to begin anew, and nothing waits for it.
-- `vector`: the embedding of the input, a float of scale and one byte a dimension. `body`: input, answer
-- and where it belongs, JSON compressed as records are.
CREATE TABLE entries (
    execution BLOB PRIMARY KEY,
    team TEXT NOT NULL,
    intent TEXT NOT NULL,
    embedding TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    expires_us INTEGER NOT NULL,
    vector BLOB NOT NULL,
    body BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX entries_expire ON entries (expires_us);
CREATE INDEX entries_of ON entries (intent, team);

-- One for each team, intent, lineage and embedding; `state` is JSON, compressed likewise. `heard_us`: labels
-- up to then are in it.
CREATE TABLE states (
    team TEXT NOT NULL,
    intent TEXT NOT NULL,
    lineage TEXT NOT NULL,
    embedding TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    heard_us INTEGER NOT NULL,
    state BLOB NOT NULL,
    PRIMARY KEY (team, intent, lineage, embedding)
) STRICT, WITHOUT ROWID;
