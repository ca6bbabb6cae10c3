-- The same tables as in PostgreSQL. UUIDs are text (lower case, hyphenated), so
-- that the sqlite3 shell shows and finds them.

CREATE TABLE messages (
    -- AUTOINCREMENT: a serial number is never given twice, not even after a
    -- deletion, or a cursor could skip a row.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL,
    timestamp INTEGER NOT NULL,
    -- claim, add, owners, fetch
    uuid TEXT NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    key TEXT NOT NULL,
    bucket TEXT NOT NULL,
    crc32 INTEGER NOT NULL,
    is_client_uuid INTEGER NOT NULL,
    public INTEGER NOT NULL,
    direct_upload INTEGER NOT NULL,
    message_crc32 INTEGER NOT NULL,
    title TEXT NOT NULL DEFAULT '',
    sender TEXT NOT NULL DEFAULT '',
    media_type TEXT NOT NULL DEFAULT '',
    file_name TEXT NOT NULL DEFAULT '',
    originator TEXT NOT NULL DEFAULT '',
    retracted INTEGER NOT NULL DEFAULT 0,
    kafka_partition INTEGER,
    kafka_offset INTEGER,
    timestamp_type TEXT,
    content_digest BLOB,
    object_offset INTEGER
);

-- Pages of rows, counts and samples by time; with topic, a page of a few topics
-- is found without touching the rows of the others. (SQLite's index ends in id
-- by itself, but then topic would come before it.)
CREATE INDEX messages_timestamp_id_idx ON messages (timestamp, id, topic);

-- foreign_rows: what another archiver wrote for a record that is seen again.
CREATE INDEX messages_foreign_idx ON messages (topic, timestamp)
    WHERE kafka_offset IS NULL AND NOT direct_upload;

-- The counts a topic, kept by the triggers below, whoever writes.
CREATE TABLE topics (
    topic TEXT PRIMARY KEY NOT NULL,
    e_timestamp INTEGER NOT NULL,
    l_timestamp INTEGER NOT NULL,
    n_messages INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TRIGGER count_added_message AFTER INSERT ON messages
BEGIN
    INSERT INTO topics (topic, e_timestamp, l_timestamp, n_messages)
    VALUES (NEW.topic, NEW.timestamp, NEW.timestamp, 1)
    ON CONFLICT (topic) DO UPDATE SET
        e_timestamp = min(e_timestamp, excluded.e_timestamp),
        l_timestamp = max(l_timestamp, excluded.l_timestamp),
        n_messages = n_messages + 1;
END;

CREATE TRIGGER count_deleted_message AFTER DELETE ON messages
BEGIN
    UPDATE topics SET n_messages = n_messages - 1 WHERE topic = OLD.topic;
    DELETE FROM topics WHERE topic = OLD.topic AND n_messages <= 0;
    UPDATE topics SET
        e_timestamp = (SELECT min(timestamp) FROM messages WHERE topic = OLD.topic),
        l_timestamp = (SELECT max(timestamp) FROM messages WHERE topic = OLD.topic)
    WHERE topic = OLD.topic
        AND (e_timestamp >= OLD.timestamp OR l_timestamp <= OLD.timestamp);
END;

CREATE TRIGGER count_changed_message AFTER UPDATE OF topic, timestamp ON messages
BEGIN
    INSERT INTO topics (topic, e_timestamp, l_timestamp, n_messages)
    VALUES (NEW.topic, NEW.timestamp, NEW.timestamp, 1)
    ON CONFLICT (topic) DO UPDATE SET
        e_timestamp = min(e_timestamp, excluded.e_timestamp),
        l_timestamp = max(l_timestamp, excluded.l_timestamp),
        n_messages = n_messages + 1;
    UPDATE topics SET n_messages = n_messages - 1 WHERE topic = OLD.topic;
    DELETE FROM topics WHERE topic = OLD.topic AND n_messages <= 0;
    UPDATE topics SET
        e_timestamp = (SELECT min(timestamp) FROM messages WHERE topic = OLD.topic),
        l_timestamp = (SELECT max(timestamp) FROM messages WHERE topic = OLD.topic)
    WHERE topic = OLD.topic
        AND (e_timestamp >= OLD.timestamp OR l_timestamp <= OLD.timestamp);
END;

-- Whose a UUID is until its row is there. claimed_at: ms since 1970-01-01 UTC.
CREATE TABLE uuid_claims (
    uuid TEXT PRIMARY KEY NOT NULL,
    topic TEXT NOT NULL,
    kafka_partition INTEGER NOT NULL,
    kafka_offset INTEGER NOT NULL,
    timestamp INTEGER NOT NULL,
    content_digest BLOB NOT NULL,
    claimed_at INTEGER NOT NULL
) WITHOUT ROWID;

-- Deliveries of a message that is archived under uuid already, in the order of
-- a comparison with Kafka, which goes through a partition.
CREATE TABLE retries (
    uuid TEXT NOT NULL,
    topic TEXT NOT NULL,
    kafka_partition INTEGER NOT NULL,
    kafka_offset INTEGER NOT NULL,
    timestamp INTEGER NOT NULL,
    timestamp_type TEXT NOT NULL,
    PRIMARY KEY (topic, kafka_partition, kafka_offset, timestamp, uuid)
) WITHOUT ROWID;
