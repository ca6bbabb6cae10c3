-- The order of a topic's lives, and a retry of each of them, as in PostgreSQL.

CREATE TABLE retries_by_life (
    uuid TEXT NOT NULL,
    topic TEXT NOT NULL,
    kafka_partition INTEGER NOT NULL,
    kafka_offset INTEGER NOT NULL,
    timestamp INTEGER NOT NULL,
    timestamp_type TEXT NOT NULL,
    topic_id TEXT,
    -- Drawn from the serial numbers of messages. Null in older rows.
    serial INTEGER
);
INSERT INTO retries_by_life
    (uuid, topic, kafka_partition, kafka_offset, timestamp, timestamp_type, topic_id)
    SELECT uuid, topic, kafka_partition, kafka_offset, timestamp, timestamp_type, topic_id
    FROM retries;
DROP TABLE retries;
ALTER TABLE retries_by_life RENAME TO retries;
CREATE UNIQUE INDEX retries_delivery_idx ON retries (
    topic, kafka_partition, kafka_offset, timestamp, uuid,
    coalesce(topic_id, '00000000-0000-0000-0000-000000000000')
);
CREATE TRIGGER number_added_retry AFTER INSERT ON retries
BEGIN
    UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'messages';
    UPDATE retries SET serial = (SELECT seq FROM sqlite_sequence WHERE name = 'messages')
    WHERE rowid = NEW.rowid;
END;

CREATE INDEX messages_upload_idx ON messages (topic) WHERE direct_upload;

ALTER TABLE catalogue_state ADD COLUMN rebuilt_through INTEGER;
