-- What the archiver cannot archive now, for `status`, which is another process.
-- A row goes when its partition has gone on past it.
CREATE TABLE stuck (
    topic text NOT NULL,
    kafka_partition integer NOT NULL,
    -- The first offset that is not archived; -1 where it is not known.
    kafka_offset bigint NOT NULL,
    -- The object that the record at this offset waits for, which cannot be read;
    -- empty: the partition itself cannot be read.
    object_key text NOT NULL,
    cause text NOT NULL,
    since timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (topic, kafka_partition, kafka_offset, object_key)
);
