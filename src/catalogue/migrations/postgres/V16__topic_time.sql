-- Rows of one topic in the order of time: its pages, counts, first and last
-- times. Without it each of these reads the entries of every other topic in the
-- index over (timestamp, id).
CREATE INDEX IF NOT EXISTS messages_topic_timestamp_idx ON messages (topic, "timestamp", id);
