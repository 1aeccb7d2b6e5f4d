-- How long past its lease an edge that holds this pointer may serve by it, in seconds: NULL where there is no end, or nobody noted it.
-- Receipts are made from it: an edge that did not take the newest pointer goes by the rules of those that it may hold.
ALTER TABLE events ADD COLUMN stale_seconds INTEGER;
CREATE INDEX events_by_domain ON events (domain, revision);

-- The keys that sign for the cluster, from a revision on. A chain: each row is signed by its own keys and those of the row before.
CREATE TABLE key_sets (
    number         INTEGER PRIMARY KEY,
    signed         BLOB    NOT NULL, -- the signed key set as it travels
    first_revision INTEGER NOT NULL, -- nothing from here on is signed by keys that are in older sets only
    created_at     INTEGER NOT NULL
) STRICT;

-- What each edge was last known to show: noted some seconds late when it grows, and at once when it shrinks.
ALTER TABLE edges ADD COLUMN acked_epoch INTEGER NOT NULL DEFAULT 0;
ALTER TABLE edges ADD COLUMN acked_revision INTEGER NOT NULL DEFAULT 0;
