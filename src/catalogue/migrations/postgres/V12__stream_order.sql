-- The order of a topic's lives, and a retry of each of them.

-- Drawn from the serial numbers of messages, so that what was archived first can
-- be told for a message and a retry alike. Null in older rows.
ALTER TABLE retries ADD COLUMN IF NOT EXISTS serial bigint;
DO $$
DECLARE
    serials text := pg_get_serial_sequence('messages', 'id');
BEGIN
    IF serials IS NOT NULL THEN
        EXECUTE format('ALTER TABLE retries ALTER COLUMN serial SET DEFAULT nextval(%L)', serials);
    END IF;
END
$$;

-- A topic that was deleted and created again has the same offsets once more.
ALTER TABLE retries DROP CONSTRAINT IF EXISTS retries_pkey;
CREATE UNIQUE INDEX IF NOT EXISTS retries_delivery_idx ON retries (
    topic, kafka_partition, kafka_offset, "timestamp", uuid,
    coalesce(topic_id, '00000000-0000-0000-0000-000000000000'::uuid)
);

-- How many messages of a topic were uploaded. Other rows are not in it.
CREATE INDEX IF NOT EXISTS messages_upload_idx ON messages (topic) WHERE direct_upload;

-- Serial numbers up to this one were given by a rebuild, in the order of the
-- objects' keys: they do not tell which life of a topic came first.
ALTER TABLE catalogue_state ADD COLUMN IF NOT EXISTS rebuilt_through bigint;
