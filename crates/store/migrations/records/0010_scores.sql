-- What an execution's evidence belongs to, and the probability with which its answer was drawn for
-- judging, where it was.
ALTER TABLE executions ADD COLUMN lineage TEXT NOT NULL DEFAULT '';
ALTER TABLE executions ADD COLUMN judged REAL;
CREATE INDEX executions_drawn ON executions (id) WHERE judged IS NOT NULL;
CREATE INDEX executions_of_lineage ON executions (team, lineage, started_at_us);

-- What judges said, or why they said nothing; the whole of it as JSON.
CREATE TABLE scores (
    execution BLOB NOT NULL,
    evaluator TEXT NOT NULL,
    team TEXT NOT NULL,
    lineage TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    status TEXT NOT NULL,
    score TEXT NOT NULL,
    PRIMARY KEY (execution, evaluator)
) STRICT, WITHOUT ROWID;
CREATE INDEX scores_of_lineage ON scores (team, lineage, at_us);
