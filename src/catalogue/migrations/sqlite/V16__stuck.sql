-- The same as in PostgreSQL: what the archiver cannot archive now.
CREATE TABLE stuck (
    topic TEXT NOT NULL,
    kafka_partition INTEGER NOT NULL,
    kafka_offset INTEGER NOT NULL,
    object_key TEXT NOT NULL,
    cause TEXT NOT NULL,
    -- Milliseconds since 1970-01-01 UTC.
    since INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000 AS INTEGER)),
    PRIMARY KEY (topic, kafka_partition, kafka_offset, object_key)
) WITHOUT ROWID;
