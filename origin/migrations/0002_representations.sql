-- Coded forms of blobs, made once for each; NULL where the coding saves too little.
CREATE TABLE derived_blobs (
    source_hash BLOB NOT NULL REFERENCES blobs (hash),
    encoding    TEXT NOT NULL CHECK (encoding IN ('br', 'zstd', 'gzip')),
    blob_hash   BLOB REFERENCES blobs (hash),
    PRIMARY KEY (source_hash, encoding)
) STRICT, WITHOUT ROWID;

-- How an environment answers, and for how many seconds past its lease an edge serves it; NULL: without end.
ALTER TABLE environments ADD COLUMN post_as_get INTEGER NOT NULL DEFAULT 0 CHECK (post_as_get IN (0, 1));
ALTER TABLE environments ADD COLUMN untrusted_uploads INTEGER NOT NULL DEFAULT 0 CHECK (untrusted_uploads IN (0, 1));
ALTER TABLE environments ADD COLUMN public_stale_seconds INTEGER;
ALTER TABLE environments ADD COLUMN protected_stale_seconds INTEGER DEFAULT 3600;

-- The greatest version that was ever live at each path of an environment, so that a deployment knows where it goes back.
CREATE TABLE environment_paths (
    environment_sid TEXT    NOT NULL REFERENCES environments (sid),
    path            TEXT    NOT NULL,
    version_number  INTEGER NOT NULL REFERENCES asset_versions (number),
    PRIMARY KEY (environment_sid, path)
) STRICT, WITHOUT ROWID;

INSERT INTO environment_paths (environment_sid, path, version_number)
SELECT environment_sid, path, max(version_number)
FROM environment_versions JOIN asset_versions ON number = version_number
GROUP BY environment_sid, path;
