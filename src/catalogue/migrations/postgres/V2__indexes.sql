-- Each index costs every insert: these are all that a query needs.
--
-- Beside them: the primary key (set_origin; joining a page with its rows) and
-- the unique UUID (claim, add, owners, fetch). archive-core also has an index
-- over key, one over timestamp and one over topic. No query of ours uses them,
-- and archive-core's own go by timestamp and topic, which the first one below
-- serves: they stay where they are and are not made anew.

-- Pages of rows, counts and samples by time. That it includes topic lets a page
-- of a few topics be found without touching the rows of the others; archive-core
-- has it, under this name, with public for its own lists.
CREATE INDEX IF NOT EXISTS messages_timestamp_id_idx ON messages ("timestamp", id)
    INCLUDE (topic, public);

-- foreign_rows: what another archiver wrote for a record that is seen again.
-- Rows of ours are not in it and cost it nothing.
CREATE INDEX IF NOT EXISTS messages_foreign_idx ON messages (topic, "timestamp")
    WHERE kafka_offset IS NULL AND NOT direct_upload;
