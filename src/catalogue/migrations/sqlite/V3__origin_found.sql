-- Another archiver's row whose origin was found later (set_origin): its UUID
-- does not follow from the delivery, which finds it by topic and time when it
-- is read once more. Null in every other row.
ALTER TABLE messages ADD COLUMN origin_found INTEGER;

-- foreign_rows. Rows of ours are not in it and cost it nothing.
CREATE INDEX messages_origin_found_idx ON messages (topic, timestamp) WHERE origin_found;
