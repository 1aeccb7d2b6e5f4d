-- What accounts have revoked. A purge outlives the blob: the bytes may come again, and stay revoked until they are lifted.
-- `source_hash` is what was named; its coded forms are rows of the same source.

CREATE TABLE purges (
    account_sid TEXT    NOT NULL REFERENCES accounts (sid),
    blob_hash   BLOB    NOT NULL CHECK (length(blob_hash) = 32),
    source_hash BLOB    NOT NULL CHECK (length(source_hash) = 32),
    size        INTEGER NOT NULL,
    purged_at   INTEGER NOT NULL,
    epoch       INTEGER NOT NULL, -- of the pointers that tell edges
    revision    INTEGER NOT NULL,
    PRIMARY KEY (account_sid, source_hash, blob_hash)
) STRICT, WITHOUT ROWID;

-- The document that the pointers of the account name; NULL: nothing is revoked.
ALTER TABLE accounts ADD COLUMN purged_hash BLOB REFERENCES blobs (hash);
