-- The same offsets may be lost in two lives of a topic: both are recorded.
ALTER TABLE gaps DROP CONSTRAINT IF EXISTS gaps_pkey;
CREATE UNIQUE INDEX IF NOT EXISTS gaps_stream_idx ON gaps (
    topic, kafka_partition, from_offset, to_offset,
    (COALESCE(topic_id, '00000000-0000-0000-0000-000000000000'::uuid))
);
