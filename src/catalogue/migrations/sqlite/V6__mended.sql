-- How many of the defects that a verification found it mended itself.
ALTER TABLE verifications ADD COLUMN mended INTEGER NOT NULL DEFAULT 0;
