-- Whom an input is about, as a hash: the person may be erased. What is there says it in a way that cannot be
-- looked up: it begins anew. The evidence stays.
DELETE FROM entries;
ALTER TABLE entries ADD COLUMN subject BLOB;
CREATE INDEX entries_of_subject ON entries (subject) WHERE subject IS NOT NULL;
