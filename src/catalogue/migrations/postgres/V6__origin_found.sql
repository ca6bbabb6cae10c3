-- Another archiver's row whose origin was found later (set_origin): its UUID
-- does not follow from the delivery, which finds it by topic and time when it
-- is read once more. Null in every other row; no row is rewritten.
ALTER TABLE messages ADD COLUMN IF NOT EXISTS origin_found boolean;

-- foreign_rows. Rows of ours are not in it and cost it nothing.
CREATE INDEX IF NOT EXISTS messages_origin_found_idx ON messages (topic, "timestamp")
    WHERE origin_found;
