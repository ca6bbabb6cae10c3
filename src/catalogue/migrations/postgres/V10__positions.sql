-- The archive's own positions, the topic ids of rows, and what proves a row.

-- One row per topic, partition and topic id (KIP-516). A topic that was deleted
-- and created again has a new id, and so a new row. The zero UUID stands for a
-- topic whose id is unknown: a broker before Kafka 2.8, or an older archive.
CREATE TABLE streams (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic text NOT NULL,
    kafka_partition integer NOT NULL,
    topic_id uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    -- Where the archive began: offsets before it are not expected.
    first_offset bigint NOT NULL,
    -- Everything in [first_offset, next_offset) is archived or accounted for.
    next_offset bigint NOT NULL,
    -- The write fence of the packed layout; unused in the one-object layout.
    claimed_to bigint NOT NULL DEFAULT 0,
    -- Of the last archived record; null where the broker gave none.
    leader_epoch integer,
    UNIQUE (topic, kafka_partition, topic_id)
) WITH (fillfactor = 50);

-- Offsets [from_offset, to_offset) of a stream that were read, and how many
-- records they held. Adjoining intervals are merged. The offsets without a
-- record (compaction, control records) are the client's word until verify
-- --against-kafka has confirmed them.
CREATE TABLE read_intervals (
    stream integer NOT NULL REFERENCES streams (id),
    from_offset bigint NOT NULL,
    to_offset bigint NOT NULL,
    records bigint NOT NULL,
    holes_confirmed bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (stream, from_offset)
);

-- One row: the identity of this catalogue, and whether it is complete. A
-- catalogue that is being rebuilt from the store is not.
CREATE TABLE catalogue_state (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    id uuid NOT NULL,
    is_complete boolean NOT NULL DEFAULT true,
    -- Where an unfinished rebuild continues; null without one.
    rebuild_position text,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO catalogue_state (id) VALUES (md5(random()::text || clock_timestamp()::text)::uuid);

-- Null in older rows; a constant default and no default rewrite no row.
ALTER TABLE messages
    ADD COLUMN IF NOT EXISTS topic_id uuid,
    -- HMAC-SHA-256, and the id of its key.
    ADD COLUMN IF NOT EXISTS signature bytea,
    ADD COLUMN IF NOT EXISTS signing_key text;
ALTER TABLE retries ADD COLUMN IF NOT EXISTS topic_id uuid;
ALTER TABLE uuid_claims ADD COLUMN IF NOT EXISTS topic_id uuid;
ALTER TABLE gaps
    ADD COLUMN IF NOT EXISTS topic_id uuid,
    -- retention, skipped or truncated
    ADD COLUMN IF NOT EXISTS reason text NOT NULL DEFAULT 'retention';

-- Restore order, completeness, positions, and deliveries with two rows. Rows
-- of another archiver and direct uploads are not in it.
CREATE INDEX IF NOT EXISTS messages_stream_idx
    ON messages (topic, kafka_partition, kafka_offset, id)
    WHERE kafka_offset IS NOT NULL;
