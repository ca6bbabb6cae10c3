-- Whose a UUID is until its row is there. A claim lives for the seconds that its
-- object takes: the table is small and turns over as fast as messages come, so
-- it is vacuumed by the number of dead rows, whatever share of it they are.
CREATE TABLE IF NOT EXISTS uuid_claims (
    uuid uuid PRIMARY KEY,
    topic text NOT NULL,
    kafka_partition integer NOT NULL,
    kafka_offset bigint NOT NULL,
    "timestamp" bigint NOT NULL,
    content_digest bytea NOT NULL,
    claimed_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0
);

-- Deliveries of a message that is archived under uuid already. The key's order
-- is that of a comparison with Kafka, which goes through a partition.
CREATE TABLE IF NOT EXISTS retries (
    uuid uuid NOT NULL,
    topic text NOT NULL,
    kafka_partition integer NOT NULL,
    kafka_offset bigint NOT NULL,
    "timestamp" bigint NOT NULL,
    timestamp_type text NOT NULL,
    PRIMARY KEY (topic, kafka_partition, kafka_offset, "timestamp", uuid)
);
