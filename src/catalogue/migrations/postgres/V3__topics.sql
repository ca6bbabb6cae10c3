-- The counts a topic: one trigger a statement, over all its rows at once, in
-- place of archive-core's trigger a row. It is the only counter, for whoever
-- writes to messages.

-- Nobody writes to messages while the old counter goes, the rows are counted
-- and the new counter comes.
LOCK TABLE messages IN SHARE ROW EXCLUSIVE MODE;

DROP TRIGGER IF EXISTS trigger_update_topics ON messages;
DO $$
BEGIN
    DROP FUNCTION IF EXISTS update_topics();
EXCEPTION
    -- Somebody else's trigger uses it: it is no longer ours to remove.
    WHEN dependent_objects_still_exist THEN NULL;
END
$$;

CREATE TABLE IF NOT EXISTS topics (
    topic text,
    -- earliest and latest timestamp, ms since 1970-01-01 UTC
    e_timestamp bigint,
    l_timestamp bigint,
    n_messages bigint
);
DELETE FROM topics;
DO $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_index i
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
        WHERE i.indrelid = 'topics'::regclass AND a.attname = 'topic'
            AND i.indisunique AND i.indisvalid AND i.indnatts = 1 AND i.indpred IS NULL
    ) THEN
        ALTER TABLE topics ADD CONSTRAINT unique_topic UNIQUE (topic);
    END IF;
END
$$;
ALTER TABLE topics
    ALTER COLUMN topic SET NOT NULL,
    ALTER COLUMN e_timestamp SET NOT NULL,
    ALTER COLUMN l_timestamp SET NOT NULL,
    ALTER COLUMN n_messages SET NOT NULL;
INSERT INTO topics (topic, e_timestamp, l_timestamp, n_messages)
SELECT topic, min("timestamp"), max("timestamp"), count(*) FROM messages GROUP BY topic;

-- Rows of topics are locked in the order of their names, so that two writers
-- wait for each other and never in a circle.
CREATE OR REPLACE FUNCTION count_messages() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    gone record;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM topics;
        RETURN NULL;
    END IF;

    IF TG_OP = 'UPDATE' THEN
        -- Most updates change neither topic nor time.
        IF NOT EXISTS (
            SELECT topic, "timestamp" FROM old_rows
            EXCEPT ALL
            SELECT topic, "timestamp" FROM new_rows
        ) THEN
            RETURN NULL;
        END IF;
    END IF;

    IF TG_OP IN ('INSERT', 'UPDATE') THEN
        INSERT INTO topics AS t (topic, e_timestamp, l_timestamp, n_messages)
        SELECT topic, min("timestamp"), max("timestamp"), count(*)
        FROM new_rows GROUP BY topic ORDER BY topic
        ON CONFLICT (topic) DO UPDATE SET
            e_timestamp = LEAST(t.e_timestamp, EXCLUDED.e_timestamp),
            l_timestamp = GREATEST(t.l_timestamp, EXCLUDED.l_timestamp),
            n_messages = t.n_messages + EXCLUDED.n_messages;
    END IF;

    IF TG_OP IN ('DELETE', 'UPDATE') THEN
        FOR gone IN
            SELECT topic, count(*) AS n, min("timestamp") AS earliest, max("timestamp") AS latest
            FROM old_rows GROUP BY topic ORDER BY topic
        LOOP
            -- From here the topic's row is locked: a writer that adds to the
            -- topic meanwhile widens the times after us.
            UPDATE topics SET n_messages = n_messages - gone.n WHERE topic = gone.topic;
            DELETE FROM topics WHERE topic = gone.topic AND n_messages <= 0;
            -- Deleting is rare, deleting a topic's first or last message rarer:
            -- it may search, rather than every insert keep an index for it.
            UPDATE topics SET
                e_timestamp = (SELECT min("timestamp") FROM messages WHERE topic = gone.topic),
                l_timestamp = (SELECT max("timestamp") FROM messages WHERE topic = gone.topic)
            WHERE topic = gone.topic
                AND (e_timestamp >= gone.earliest OR l_timestamp <= gone.latest);
        END LOOP;
    END IF;
    RETURN NULL;
END
$$;

-- Transition tables want a trigger for each kind of statement. The first has the
-- name of archive-core's: it makes its own where that name is missing, and would
-- count every row a second time.
CREATE TRIGGER trigger_update_topics AFTER INSERT ON messages
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION count_messages();
DROP TRIGGER IF EXISTS trigger_update_topics_delete ON messages;
CREATE TRIGGER trigger_update_topics_delete AFTER DELETE ON messages
    REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION count_messages();
DROP TRIGGER IF EXISTS trigger_update_topics_update ON messages;
CREATE TRIGGER trigger_update_topics_update AFTER UPDATE ON messages
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION count_messages();
DROP TRIGGER IF EXISTS trigger_update_topics_truncate ON messages;
CREATE TRIGGER trigger_update_topics_truncate AFTER TRUNCATE ON messages
    FOR EACH STATEMENT EXECUTE FUNCTION count_messages();
