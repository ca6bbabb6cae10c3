-- The same as in PostgreSQL. Times are ms since 1970-01-01 UTC.

-- When a person said that they know of a gap: it is told from then on, and no
-- defect any more.
ALTER TABLE gaps ADD COLUMN acknowledged_at INTEGER;

-- Objects in a message's place that are none, left alone because nothing is
-- ever deleted: what was damaged, once the message lies elsewhere, and copies.
CREATE TABLE set_aside (
    bucket TEXT NOT NULL,
    key TEXT NOT NULL,
    reason TEXT NOT NULL,
    since INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000 AS INTEGER)),
    PRIMARY KEY (bucket, key)
) WITHOUT ROWID;

-- What verify did and found, and where it goes on when it was stopped.
CREATE TABLE verifications (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- the options that choose what is looked at
    asked TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    saved_at INTEGER NOT NULL,
    -- null: under way, or stopped
    finished_at INTEGER,
    messages INTEGER NOT NULL,
    objects INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    -- JSON: kind of defect -> how many
    defects TEXT NOT NULL,
    -- JSON: where it goes on; null once it has finished
    place TEXT
);
