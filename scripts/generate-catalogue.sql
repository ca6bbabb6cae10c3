-- Fills an empty catalogue in PostgreSQL with :rows rows of :topics topics, to
-- measure queries and their plans: scripts/generate-catalogue runs it. No object
-- is stored.
--
-- Topic 0 has 30 % of the rows; of the others, the first ones have most. Each
-- topic has 4 partitions whose offsets follow each other, each row is some
-- milliseconds later than the one before, and every 50th message has a retry.
ALTER TABLE messages DISABLE TRIGGER USER;

CREATE TEMPORARY TABLE dropped_indexes AS
SELECT i.indexrelid::regclass::text AS name, pg_get_indexdef(i.indexrelid) AS definition
FROM pg_index i
WHERE i.indrelid = 'messages'::regclass
    AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid);
DO $$
DECLARE
    dropped record;
BEGIN
    FOR dropped IN SELECT name FROM dropped_indexes LOOP
        EXECUTE 'DROP INDEX ' || dropped.name;
    END LOOP;
END
$$;

INSERT INTO messages (
    topic, "timestamp", uuid, size, key, bucket, crc32, is_client_uuid, public, direct_upload,
    message_crc32, title, sender, media_type, kafka_partition, kafka_offset, timestamp_type,
    content_digest, topic_id
)
SELECT
    topic, 1600000000000 + n * 37, uuid, 1000 + (n % 4000)::integer,
    topic || '/2023/11/14/' || uuid || '.bson', 'archive', n % 4294967296, n % 2 = 0, n % 3 = 0,
    false, n % 4294967296, 'message ' || n, 'sender', 'application/json', partition,
    (row_number() OVER (PARTITION BY topic, partition ORDER BY n)) - 1, 'create',
    sha256(uuid::text::bytea), md5(topic)::uuid
FROM (
    SELECT n, md5(n::text)::uuid AS uuid, (n % 4)::integer AS partition,
        'generated.' || CASE WHEN share < 0.3 THEN 0
            ELSE 1 + floor((:topics - 1) * power((share - 0.3) / 0.7, 4)) END AS topic
    FROM (
        SELECT n, (n * 0.6180339887498949)::numeric % 1 AS share
        FROM generate_series(1, :rows::bigint) AS n
    ) AS numbers
) AS generated
ORDER BY n;

INSERT INTO retries (uuid, topic, kafka_partition, kafka_offset, "timestamp", timestamp_type, topic_id)
SELECT uuid, topic, kafka_partition, kafka_offset + 1000000000, "timestamp", timestamp_type, topic_id
FROM messages WHERE id % 50 = 0;

INSERT INTO topics (topic, e_timestamp, l_timestamp, n_messages)
SELECT topic, min("timestamp"), max("timestamp"), count(*) FROM messages GROUP BY topic;

INSERT INTO streams (topic, kafka_partition, topic_id, first_offset, next_offset)
SELECT topic, kafka_partition, topic_id, 0, count(*) FROM messages
GROUP BY topic, kafka_partition, topic_id;

INSERT INTO read_intervals (stream, from_offset, to_offset, records)
SELECT id, first_offset, next_offset, next_offset - first_offset FROM streams;

DO $$
DECLARE
    dropped record;
BEGIN
    FOR dropped IN SELECT definition FROM dropped_indexes LOOP
        EXECUTE dropped.definition;
    END LOOP;
END
$$;

ALTER TABLE messages ENABLE TRIGGER USER;
