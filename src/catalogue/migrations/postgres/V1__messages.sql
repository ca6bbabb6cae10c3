-- The table of archived messages: made new, or taken over from archive-core of
-- any age without rewriting a row. Every statement may run again.

DO $$
DECLARE
    uuid_type text;
BEGIN
    SELECT format_type(atttypid, atttypmod) INTO uuid_type
    FROM pg_attribute
    WHERE attrelid = to_regclass('messages') AND attname = 'uuid' AND NOT attisdropped;
    -- Only a rewrite of the whole table changes a column's type: the
    -- operator decides when that is done.
    IF uuid_type <> 'uuid' THEN
        RAISE EXCEPTION 'column messages.uuid is of type %, as the first versions of archive-core made it: run "ALTER TABLE messages ALTER COLUMN uuid TYPE uuid USING uuid::uuid" first (it rewrites the table)', uuid_type;
    END IF;
END
$$;

CREATE TABLE IF NOT EXISTS messages (
    id bigserial PRIMARY KEY,
    topic text NOT NULL,
    "timestamp" bigint NOT NULL,
    uuid uuid NOT NULL,
    size integer NOT NULL,
    key text NOT NULL,
    bucket text NOT NULL,
    crc32 bigint NOT NULL,
    is_client_uuid boolean NOT NULL,
    public boolean NOT NULL,
    direct_upload boolean NOT NULL,
    message_crc32 bigint NOT NULL
);

-- What an older archive-core lacks, and what is ours: a constant default and
-- no default touch no row. Our columns stay null in the rows of another
-- archiver.
ALTER TABLE messages
    ADD COLUMN IF NOT EXISTS public boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS direct_upload boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS title text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS sender text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS media_type text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS file_name text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS originator text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS retracted boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS kafka_partition integer,
    ADD COLUMN IF NOT EXISTS kafka_offset bigint,
    -- create, log_append or none, as in the stored object
    ADD COLUMN IF NOT EXISTS timestamp_type text,
    ADD COLUMN IF NOT EXISTS content_digest bytea,
    -- null: the document is the whole object
    ADD COLUMN IF NOT EXISTS object_offset bigint;

-- archive-core's first schema allowed nulls. One scan, and none where the
-- column is NOT NULL already.
ALTER TABLE messages
    ALTER COLUMN topic SET NOT NULL,
    ALTER COLUMN "timestamp" SET NOT NULL,
    ALTER COLUMN uuid SET NOT NULL,
    ALTER COLUMN size SET NOT NULL,
    ALTER COLUMN key SET NOT NULL,
    ALTER COLUMN bucket SET NOT NULL,
    ALTER COLUMN crc32 SET NOT NULL,
    ALTER COLUMN is_client_uuid SET NOT NULL,
    ALTER COLUMN public SET NOT NULL,
    ALTER COLUMN direct_upload SET NOT NULL,
    ALTER COLUMN message_crc32 SET NOT NULL;

-- One row a UUID: what a row being added collides with, and every look-up by
-- UUID. Newer archive-cores have it as this constraint, older ones as a plain
-- index of the same name; with this name theirs will not make a second one.
DO $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_index i
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
        WHERE i.indrelid = 'messages'::regclass AND a.attname = 'uuid'
            AND i.indisunique AND i.indisvalid AND i.indnatts = 1 AND i.indpred IS NULL
    ) THEN
        DROP INDEX IF EXISTS messages_uuid_idx;
        ALTER TABLE messages ADD CONSTRAINT messages_uuid_idx UNIQUE (uuid);
    END IF;
END
$$;
