-- Every calibration that was in force, the latest last: what was fitted, by whom, and why.
CREATE TABLE calibrations (
    version INTEGER PRIMARY KEY,
    team TEXT NOT NULL,
    intent TEXT NOT NULL,
    lineage TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    by TEXT NOT NULL,
    why TEXT NOT NULL,
    pinned INTEGER NOT NULL,
    calibration TEXT NOT NULL
) STRICT;
CREATE INDEX calibrations_of ON calibrations (team, lineage, version);
