-- Nothing read it: attempts are in their record, and counted in rollups.
DROP TABLE attempts;
