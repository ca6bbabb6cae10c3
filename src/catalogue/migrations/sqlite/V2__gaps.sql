-- Offsets that Kafka no longer had when they were to be read: what retention
-- took before it was archived, for good. The key finds a gap that is met again.
CREATE TABLE gaps (
    topic TEXT NOT NULL,
    kafka_partition INTEGER NOT NULL,
    from_offset INTEGER NOT NULL,
    to_offset INTEGER NOT NULL,
    -- Milliseconds since 1970-01-01 UTC.
    found_at INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000 AS INTEGER)),
    PRIMARY KEY (topic, kafka_partition, from_offset, to_offset)
) WITHOUT ROWID;
