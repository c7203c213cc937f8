-- What the watch for drift saw, the latest last; each row has the state of the watch after it.
CREATE TABLE drift (
    seq INTEGER PRIMARY KEY,
    team TEXT NOT NULL,
    intent TEXT NOT NULL,
    lineage TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    kind TEXT NOT NULL,
    detail TEXT NOT NULL,
    state TEXT NOT NULL
) STRICT;
CREATE INDEX drift_of ON drift (team, lineage, kind, seq);
