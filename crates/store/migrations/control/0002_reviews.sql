-- Answers that people are asked about, or spoke of unasked. `item` is the whole of it as JSON; the
-- columns are what it is looked up by, kept with it. `state`: 0 done, 1 open, 2 second, 3 disputed.
-- `acted_us`: when somebody last labelled it or passed it over, or 0. Times are Unix microseconds.
CREATE TABLE reviews (
    execution BLOB NOT NULL,
    team TEXT NOT NULL,
    intent TEXT NOT NULL,
    lineage TEXT NOT NULL,
    state INTEGER NOT NULL,
    labels INTEGER NOT NULL,
    held_until_us INTEGER NOT NULL,
    acted_us INTEGER NOT NULL,
    item TEXT NOT NULL,
    PRIMARY KEY (team, execution)
) STRICT, WITHOUT ROWID;
CREATE INDEX reviews_waiting ON reviews (team, state, execution) WHERE state > 0;
CREATE INDEX reviews_acted ON reviews (team, acted_us, execution);
CREATE INDEX reviews_of_lineage ON reviews (lineage, execution) WHERE labels > 0;
CREATE INDEX reviews_of_execution ON reviews (execution);
