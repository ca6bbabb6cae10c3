-- The same offsets may be lost in two lives of a topic: both are recorded.
CREATE TABLE gaps_new (
    topic TEXT NOT NULL,
    kafka_partition INTEGER NOT NULL,
    from_offset INTEGER NOT NULL,
    to_offset INTEGER NOT NULL,
    -- Milliseconds since 1970-01-01 UTC.
    found_at INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000 AS INTEGER)),
    acknowledged_at INTEGER,
    topic_id TEXT,
    -- retention, skipped or truncated
    reason TEXT NOT NULL DEFAULT 'retention'
);
INSERT INTO gaps_new (
    topic, kafka_partition, from_offset, to_offset, found_at, acknowledged_at, topic_id, reason
)
SELECT topic, kafka_partition, from_offset, to_offset, found_at, acknowledged_at, topic_id, reason
FROM gaps;
DROP TABLE gaps;
ALTER TABLE gaps_new RENAME TO gaps;
CREATE UNIQUE INDEX gaps_stream_idx ON gaps (
    topic, kafka_partition, from_offset, to_offset,
    COALESCE(topic_id, '00000000-0000-0000-0000-000000000000')
);
