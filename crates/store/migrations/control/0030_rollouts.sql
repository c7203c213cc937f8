-- What happened to rollouts, the latest last; each row has the rollout after it.
CREATE TABLE rollouts (
    seq INTEGER PRIMARY KEY,
    team TEXT NOT NULL,
    intent TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    by TEXT NOT NULL,
    kind TEXT NOT NULL,
    why TEXT NOT NULL,
    state TEXT NOT NULL
) STRICT;
CREATE INDEX rollouts_of ON rollouts (team, intent, seq);
