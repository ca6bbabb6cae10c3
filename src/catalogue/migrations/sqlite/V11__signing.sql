-- The same as in PostgreSQL: which parts of the archive a rebuild still has to
-- read, where signing began, and messages that nothing but their own object
-- vouches for.

CREATE TABLE rebuild_parts (
    parts INTEGER NOT NULL,
    part INTEGER NOT NULL,
    is_finished INTEGER NOT NULL DEFAULT 0,
    newest_before INTEGER NOT NULL,
    PRIMARY KEY (parts, part)
) WITHOUT ROWID;

ALTER TABLE catalogue_state ADD COLUMN signed_after INTEGER;

CREATE TABLE unconfirmed_messages (
    uuid TEXT PRIMARY KEY,
    -- Milliseconds since 1970-01-01 UTC.
    found_at INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000 AS INTEGER))
) WITHOUT ROWID;
