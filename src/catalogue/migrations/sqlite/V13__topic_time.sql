-- Rows of one topic in the order of time, as in PostgreSQL. The index ends in id
-- by itself.
CREATE INDEX messages_topic_timestamp_idx ON messages (topic, timestamp);
