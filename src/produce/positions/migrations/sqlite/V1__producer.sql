-- How far each entity type is published, by realm and schema id. Texts are
-- compared as bytes.
CREATE TABLE producer_positions (
    realm TEXT NOT NULL,
    schema_id BLOB NOT NULL,
    topic TEXT UNIQUE,
    -- Everything up to here is on Kafka or in the quarantine.
    "position" TEXT NOT NULL,
    -- Up to here nothing is remembered of what was sent: taken over.
    known_from TEXT NOT NULL,
    -- One more with each rebuild: whoever still writes for an earlier one is late.
    generation INTEGER NOT NULL DEFAULT 0,
    mode TEXT NOT NULL DEFAULT 'running' CHECK (mode IN ('running', 'paused', 'rebuilding')),
    -- The offset after the last message, as partition:offset,…
    log_ends TEXT NOT NULL DEFAULT '',
    -- The row of producer_sent that still grows.
    open_chunk INTEGER,
    PRIMARY KEY (realm, schema_id)
) STRICT;

-- What was sent: eight bytes for each (id, modified), many to a row.
CREATE TABLE producer_sent (
    id INTEGER PRIMARY KEY,
    realm TEXT NOT NULL,
    schema_id BLOB NOT NULL,
    first TEXT NOT NULL,
    last TEXT NOT NULL,
    marks BLOB NOT NULL
) STRICT;
CREATE INDEX producer_sent_place ON producer_sent (realm, schema_id, last);

CREATE TABLE producer_quarantine (
    realm TEXT NOT NULL,
    schema_id BLOB NOT NULL,
    entity_id BLOB NOT NULL,
    modified TEXT NOT NULL,
    reason TEXT NOT NULL,
    -- Of the payload's text.
    bytes INTEGER NOT NULL,
    -- Milliseconds since 1970-01-01 UTC.
    found_at INTEGER NOT NULL,
    replay INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (realm, schema_id, modified, entity_id)
) STRICT;
