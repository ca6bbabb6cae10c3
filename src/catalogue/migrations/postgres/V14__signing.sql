-- Which parts of the archive a rebuild still has to read, where signing began,
-- and messages that nothing but their own object vouches for.

-- A rebuild of one part of parts (1 of 1: the whole). The catalogue is complete
-- again when all parts of one division are finished.
CREATE TABLE rebuild_parts (
    parts integer NOT NULL,
    part integer NOT NULL,
    is_finished boolean NOT NULL DEFAULT false,
    -- The highest messages.id when the part was begun for the first time.
    newest_before bigint NOT NULL,
    PRIMARY KEY (parts, part)
);

-- Rows with a higher messages.id were added when signing was in use; null: it
-- never was.
ALTER TABLE catalogue_state ADD COLUMN signed_after bigint;

-- Rows that a rebuild with a signing key took from objects without a valid
-- signature.
CREATE TABLE unconfirmed_messages (
    uuid uuid PRIMARY KEY,
    found_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
