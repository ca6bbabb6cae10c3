-- packed: objects that hold several messages, found by their keys. Rows whose
-- message is the whole object are not in it and cost it nothing.
CREATE INDEX messages_packed_idx ON messages (key) WHERE object_offset IS NOT NULL;
