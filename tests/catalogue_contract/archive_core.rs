//! Databases as archive-core made them at each of its ages.

use crate::messages::*;

/// The tables of its first versions, with the UUID as text.
pub const TEXT_UUIDS: &str = "
    CREATE TABLE messages (
        id bigserial PRIMARY KEY, topic text, timestamp bigint, uuid text, size integer,
        key text, bucket text, crc32 bigint, is_client_uuid boolean, message_crc32 bigint
    );
";

/// Columns may be null, nothing counts, a UUID may come twice.
const NULLABLE: &str = "
    CREATE TABLE messages (
        id bigserial PRIMARY KEY, topic text, timestamp bigint NOT NULL, uuid uuid, size integer,
        key text, bucket text, crc32 bigint, is_client_uuid boolean, public boolean,
        direct_upload boolean, message_crc32 bigint
    );
    CREATE INDEX messages_key_idx ON messages (key);
    CREATE INDEX messages_timestamp_id_idx ON messages (timestamp, id) INCLUDE (topic, public);
    CREATE INDEX messages_timestamp_idx ON messages (timestamp);
    CREATE INDEX messages_topic_idx ON messages (topic);
    CREATE INDEX messages_uuid_idx ON messages (uuid);
";

/// A trigger a row counts. It is also what a later start of archive-core runs
/// again: table and trigger are made only where their names are missing.
pub const COUNTED: &str = "
    CREATE TABLE IF NOT EXISTS topics AS
        SELECT topic, min(timestamp) AS e_timestamp, max(timestamp) AS l_timestamp,
            count(*) AS n_messages
        FROM messages GROUP BY topic;
    CREATE OR REPLACE FUNCTION update_topics() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'DELETE' THEN
            UPDATE topics SET n_messages = n_messages - 1 WHERE topic = OLD.topic;
            RETURN NEW;
        END IF;
        UPDATE topics SET e_timestamp = LEAST(e_timestamp, NEW.timestamp),
            l_timestamp = GREATEST(l_timestamp, NEW.timestamp), n_messages = n_messages + 1
        WHERE topic = NEW.topic;
        IF NOT FOUND THEN
            INSERT INTO topics VALUES (NEW.topic, NEW.timestamp, NEW.timestamp, 1);
        END IF;
        RETURN NEW;
    END
    $$;
    DO $$
    BEGIN
        IF NOT EXISTS (SELECT FROM pg_constraint WHERE conname = 'unique_topic') THEN
            ALTER TABLE topics ADD CONSTRAINT unique_topic UNIQUE (topic);
        END IF;
        IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgname = 'trigger_update_topics') THEN
            CREATE TRIGGER trigger_update_topics AFTER INSERT OR DELETE ON messages
                FOR EACH ROW EXECUTE FUNCTION update_topics();
        END IF;
    END
    $$;
";

const CONSTRAINED: &str = "
    ALTER TABLE messages ALTER topic SET NOT NULL, ALTER uuid SET NOT NULL,
        ALTER size SET NOT NULL, ALTER key SET NOT NULL, ALTER bucket SET NOT NULL,
        ALTER crc32 SET NOT NULL, ALTER is_client_uuid SET NOT NULL,
        ALTER public SET NOT NULL, ALTER direct_upload SET NOT NULL,
        ALTER message_crc32 SET NOT NULL,
        ADD title text NOT NULL DEFAULT '', ADD sender text NOT NULL DEFAULT '',
        ADD media_type text NOT NULL DEFAULT '', ADD file_name text NOT NULL DEFAULT '';
    DROP INDEX messages_uuid_idx;
    ALTER TABLE messages ADD CONSTRAINT messages_uuid_idx UNIQUE (uuid);
";

const SEARCHABLE: &str = "
    CREATE TABLE message_ts (
        uuid uuid NOT NULL REFERENCES messages (uuid) ON DELETE CASCADE,
        text_data tsvector NOT NULL, text_fully_indexed boolean NOT NULL
    );
    INSERT INTO message_ts SELECT uuid, 'kept', true FROM messages;
";

const NEWEST: &str = "
    ALTER TABLE messages ADD originator text NOT NULL DEFAULT '',
        ADD retracted boolean NOT NULL DEFAULT false;
    CREATE TABLE dois (id bigserial PRIMARY KEY, doi text NOT NULL UNIQUE);
    CREATE TABLE doi_messages (
        doi_id bigint NOT NULL REFERENCES dois (id), message_uuid uuid NOT NULL,
        PRIMARY KEY (doi_id, message_uuid)
    );
    INSERT INTO dois (doi) VALUES ('10.0/kept');
    INSERT INTO doi_messages SELECT 1, uuid FROM messages;
";

/// How many ages [`of_age`] knows.
pub const AGES: usize = 5;

/// A database of an age, with the rows of messages 1 to 3, of which 3 is on a
/// topic of its own.
pub fn of_age(age: usize) -> String {
    let steps = [NULLABLE, COUNTED, CONSTRAINED, SEARCHABLE, NEWEST];
    let rows = [message(1), message(2), on_topic("circulars", -1, 3)];
    let mut sql = String::from(steps[0]);
    sql.extend(rows.iter().map(foreign_insert));
    sql.extend(steps[1..=age].iter().copied());
    sql
}
