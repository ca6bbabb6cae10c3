-- When a person said that they know of a gap: it is told from then on, and no
-- defect any more.
ALTER TABLE gaps ADD COLUMN IF NOT EXISTS acknowledged_at timestamptz;

-- Objects in a message's place that are none, left alone because nothing is
-- ever deleted: what was damaged, once the message lies elsewhere, and copies.
-- The key is what a listing is compared with.
CREATE TABLE IF NOT EXISTS set_aside (
    bucket text NOT NULL,
    key text NOT NULL,
    reason text NOT NULL,
    since timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (bucket, key)
);

-- What verify did and found, and where it goes on when it was stopped. Times
-- are ms since 1970-01-01 UTC by the verifying machine's clock.
CREATE TABLE IF NOT EXISTS verifications (
    id bigserial PRIMARY KEY,
    -- the options that choose what is looked at
    asked text NOT NULL,
    started_at bigint NOT NULL,
    saved_at bigint NOT NULL,
    -- null: under way, or stopped
    finished_at bigint,
    messages bigint NOT NULL,
    objects bigint NOT NULL,
    bytes bigint NOT NULL,
    -- JSON: kind of defect → how many
    defects text NOT NULL,
    -- JSON: where it goes on; null once it has finished
    place text
);
