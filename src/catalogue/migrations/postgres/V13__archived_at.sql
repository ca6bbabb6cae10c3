-- When a message was archived, by the catalogue's clock. Null in older rows and
-- in rows that were read again from their objects: it is not known. Adding the
-- column and then its default rewrites no row.
ALTER TABLE messages ADD COLUMN IF NOT EXISTS archived_at timestamptz;
ALTER TABLE messages ALTER COLUMN archived_at SET DEFAULT clock_timestamp();
