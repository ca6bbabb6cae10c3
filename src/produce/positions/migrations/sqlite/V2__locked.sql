-- A failed rebuild is known to every instance. SQLite cannot change a CHECK
-- constraint, so the table is copied.
CREATE TABLE producer_positions_2 (
    realm TEXT NOT NULL,
    schema_id BLOB NOT NULL,
    topic TEXT UNIQUE,
    "position" TEXT NOT NULL,
    known_from TEXT NOT NULL,
    generation INTEGER NOT NULL DEFAULT 0,
    mode TEXT NOT NULL DEFAULT 'running'
        CHECK (mode IN ('running', 'paused', 'rebuilding', 'locked')),
    log_ends TEXT NOT NULL DEFAULT '',
    open_chunk INTEGER,
    PRIMARY KEY (realm, schema_id)
) STRICT;
INSERT INTO producer_positions_2 (realm, schema_id, topic, "position", known_from, generation,
        mode, log_ends, open_chunk)
    SELECT realm, schema_id, topic, "position", known_from, generation, mode, log_ends, open_chunk
    FROM producer_positions;
DROP TABLE producer_positions;
ALTER TABLE producer_positions_2 RENAME TO producer_positions;
