-- When a message was archived, ms since 1970-01-01 UTC. Null in older rows and in
-- rows that were read again from their objects: it is not known.
ALTER TABLE messages ADD COLUMN archived_at INTEGER;
