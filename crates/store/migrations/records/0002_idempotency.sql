-- Which execution answers a call that is made again, for as long as that is promised.
CREATE TABLE idempotency (
    team TEXT NOT NULL,
    key TEXT NOT NULL,
    body TEXT NOT NULL,
    id BLOB NOT NULL,
    at_us INTEGER NOT NULL,
    PRIMARY KEY (team, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_age ON idempotency (at_us);
