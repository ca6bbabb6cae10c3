-- How far each entity type is published, by realm and schema id.
-- Positions are compared as bytes, whatever the database's own order is.
CREATE TABLE producer_positions (
    realm text COLLATE "C" NOT NULL,
    schema_id uuid NOT NULL,
    topic text COLLATE "C" UNIQUE,
    -- Everything up to here is on Kafka or in the quarantine.
    "position" text COLLATE "C" NOT NULL,
    -- Up to here nothing is remembered of what was sent: taken over.
    known_from text COLLATE "C" NOT NULL,
    -- One more with each rebuild: whoever still writes for an earlier one is late.
    generation bigint NOT NULL DEFAULT 0,
    mode text NOT NULL DEFAULT 'running' CHECK (mode IN ('running', 'paused', 'rebuilding')),
    -- The offset after the last message, as partition:offset,…
    log_ends text NOT NULL DEFAULT '',
    -- The row of producer_sent that still grows.
    open_chunk bigint,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (realm, schema_id)
);

-- What was sent: eight bytes for each (id, modified), many to a row.
CREATE TABLE producer_sent (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    realm text COLLATE "C" NOT NULL,
    schema_id uuid NOT NULL,
    first text COLLATE "C" NOT NULL,
    last text COLLATE "C" NOT NULL,
    marks bytea NOT NULL
);
-- Digests do not compress.
ALTER TABLE producer_sent ALTER COLUMN marks SET STORAGE EXTERNAL;
CREATE INDEX producer_sent_place ON producer_sent (realm, schema_id, last);

CREATE TABLE producer_quarantine (
    realm text COLLATE "C" NOT NULL,
    schema_id uuid NOT NULL,
    entity_id uuid NOT NULL,
    modified text COLLATE "C" NOT NULL,
    reason text NOT NULL,
    -- Of the payload's text.
    bytes bigint NOT NULL,
    found_at timestamptz NOT NULL DEFAULT now(),
    replay boolean NOT NULL DEFAULT false,
    PRIMARY KEY (realm, schema_id, modified, entity_id)
);
