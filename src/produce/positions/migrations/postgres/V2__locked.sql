-- A failed rebuild is known to every instance.
ALTER TABLE producer_positions DROP CONSTRAINT producer_positions_mode_check;
ALTER TABLE producer_positions ADD CONSTRAINT producer_positions_mode_check
    CHECK (mode IN ('running', 'paused', 'rebuilding', 'locked'));
