-- The same as in PostgreSQL: how far the rebuild of a part has come. Parts are
-- made of key ranges now, so those that were finished before are read again.

ALTER TABLE rebuild_parts ADD COLUMN position TEXT;
ALTER TABLE catalogue_state DROP COLUMN rebuild_position;
UPDATE rebuild_parts SET is_finished = 0;
