-- Whom an item is about, as a hash: the person may be erased. Items from before say none.
ALTER TABLE items ADD COLUMN subject BLOB;
CREATE INDEX items_of_subject ON items (subject) WHERE subject IS NOT NULL;
