-- Whom an execution is about, as a hash: the person may be erased. Rows up to `unnamed` were written before
-- there was one.
ALTER TABLE executions ADD COLUMN subject BLOB;
CREATE INDEX executions_of_subject ON executions (subject) WHERE subject IS NOT NULL;
ALTER TABLE progress ADD COLUMN unnamed INTEGER NOT NULL DEFAULT 0;
UPDATE progress SET unnamed = sequence;

-- Who was erased, when, by whose key, and what went, as JSON.
CREATE TABLE erasures (
    subject BLOB NOT NULL,
    at_us INTEGER NOT NULL,
    team TEXT NOT NULL,
    by TEXT,
    counts TEXT NOT NULL,
    PRIMARY KEY (subject, at_us)
) STRICT, WITHOUT ROWID;
CREATE INDEX erasures_by_age ON erasures (at_us);
