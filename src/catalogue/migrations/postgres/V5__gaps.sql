-- Offsets that Kafka no longer had when they were to be read: what retention
-- took before it was archived, for good. The key finds a gap that is met again.
CREATE TABLE IF NOT EXISTS gaps (
    topic text NOT NULL,
    kafka_partition integer NOT NULL,
    from_offset bigint NOT NULL,
    to_offset bigint NOT NULL,
    found_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (topic, kafka_partition, from_offset, to_offset)
);
