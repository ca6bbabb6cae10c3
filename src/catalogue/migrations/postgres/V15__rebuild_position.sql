-- How far the rebuild of a part has come; null: not at all.
ALTER TABLE rebuild_parts ADD COLUMN position text;
-- One for the whole catalogue was never used.
ALTER TABLE catalogue_state DROP COLUMN rebuild_position;
-- Parts are now made of key ranges: a part that was finished before holds other
-- objects than the part of the same number now, so all are to be read again.
UPDATE rebuild_parts SET is_finished = false;
