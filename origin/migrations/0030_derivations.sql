-- Coded forms of blobs, made once for each account that shows the blob: what one account had coded tells another nothing. NULL where
-- the coding saves too little.
CREATE TABLE new_derived_blobs (
    account_sid TEXT NOT NULL REFERENCES accounts (sid),
    source_hash BLOB NOT NULL REFERENCES blobs (hash),
    encoding    TEXT NOT NULL CHECK (encoding IN ('br', 'zstd', 'gzip')),
    blob_hash   BLOB REFERENCES blobs (hash),
    PRIMARY KEY (account_sid, source_hash, encoding)
) STRICT, WITHOUT ROWID;
INSERT INTO new_derived_blobs (account_sid, source_hash, encoding, blob_hash)
SELECT account_sid, source_hash, encoding, derived_blobs.blob_hash
FROM derived_blobs JOIN named_blobs ON named_blobs.blob_hash = source_hash;
DROP TABLE derived_blobs;
ALTER TABLE new_derived_blobs RENAME TO derived_blobs;
CREATE INDEX derived_blobs_by_blob ON derived_blobs (account_sid, blob_hash);

-- Completed builds that coded forms are still to join, by a manifest that succeeds the one they have.
CREATE TABLE derivations (
    build_sid        TEXT PRIMARY KEY REFERENCES builds (sid),
    turn             INTEGER NOT NULL DEFAULT 0, -- of its newest round; the least is next
    attempts         INTEGER NOT NULL DEFAULT 0, -- rounds that were begun since one was ended
    cpu_milliseconds INTEGER NOT NULL            -- spent on it so far
) STRICT;
CREATE INDEX derivations_by_turn ON derivations (turn);
CREATE INDEX environments_by_live_build ON environments (live_build_sid);
