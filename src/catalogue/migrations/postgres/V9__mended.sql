-- How many of the defects that a verification found it mended itself.
ALTER TABLE verifications ADD COLUMN IF NOT EXISTS mended bigint NOT NULL DEFAULT 0;
