-- The same as in PostgreSQL: the archive's own positions, the topic ids of
-- rows, and what proves a row. UUIDs are text.

CREATE TABLE streams (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL,
    kafka_partition INTEGER NOT NULL,
    -- The zero UUID: unknown.
    topic_id TEXT NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    -- Where the archive began: offsets before it are not expected.
    first_offset INTEGER NOT NULL,
    -- Everything in [first_offset, next_offset) is archived or accounted for.
    next_offset INTEGER NOT NULL,
    -- The write fence of the packed layout; unused in the one-object layout.
    claimed_to INTEGER NOT NULL DEFAULT 0,
    leader_epoch INTEGER,
    UNIQUE (topic, kafka_partition, topic_id)
);

CREATE TABLE read_intervals (
    stream INTEGER NOT NULL REFERENCES streams (id),
    from_offset INTEGER NOT NULL,
    to_offset INTEGER NOT NULL,
    records INTEGER NOT NULL,
    holes_confirmed INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (stream, from_offset)
) WITHOUT ROWID;

CREATE TABLE catalogue_state (
    is_only INTEGER PRIMARY KEY DEFAULT 1 CHECK (is_only = 1),
    id TEXT NOT NULL,
    is_complete INTEGER NOT NULL DEFAULT 1,
    -- Where an unfinished rebuild continues; null without one.
    rebuild_position TEXT,
    -- Milliseconds since 1970-01-01 UTC.
    changed_at INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000 AS INTEGER))
);
INSERT INTO catalogue_state (id) SELECT
    substr(h, 1, 8) || '-' || substr(h, 9, 4) || '-' || substr(h, 13, 4) || '-'
        || substr(h, 17, 4) || '-' || substr(h, 21, 12)
FROM (SELECT lower(hex(randomblob(16))) AS h);

ALTER TABLE messages ADD COLUMN topic_id TEXT;
-- HMAC-SHA-256, and the id of its key.
ALTER TABLE messages ADD COLUMN signature BLOB;
ALTER TABLE messages ADD COLUMN signing_key TEXT;
ALTER TABLE retries ADD COLUMN topic_id TEXT;
ALTER TABLE uuid_claims ADD COLUMN topic_id TEXT;
ALTER TABLE gaps ADD COLUMN topic_id TEXT;
-- retention, skipped or truncated
ALTER TABLE gaps ADD COLUMN reason TEXT NOT NULL DEFAULT 'retention';

-- Restore order, completeness, positions, and deliveries with two rows.
CREATE INDEX messages_stream_idx
    ON messages (topic, kafka_partition, kafka_offset, id)
    WHERE kafka_offset IS NOT NULL;
