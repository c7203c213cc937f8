-- Keys and feedback: apart from the records, so that they never wait behind ingestion.
CREATE TABLE keys (
    id TEXT PRIMARY KEY,
    hash BLOB NOT NULL,
    info TEXT NOT NULL,
    revoked_at_us INTEGER
) STRICT;

-- `id` is a hash of the rest: the same feedback twice is kept once.
CREATE TABLE feedback (
    id BLOB PRIMARY KEY,
    execution BLOB NOT NULL,
    team TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    kind TEXT NOT NULL,
    feedback TEXT NOT NULL
) STRICT;
CREATE INDEX feedback_of_execution ON feedback (execution, at_us);
