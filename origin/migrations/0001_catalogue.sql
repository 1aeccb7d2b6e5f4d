-- The catalogue as it begins. Times are Unix seconds unless they say otherwise; hashes are 32 bytes.

CREATE TABLE cluster (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    id       BLOB    NOT NULL CHECK (length(id) = 16),
    epoch    INTEGER NOT NULL,
    revision INTEGER NOT NULL
) STRICT;

CREATE TABLE accounts (
    sid           TEXT PRIMARY KEY,
    friendly_name TEXT    NOT NULL,
    is_operator   INTEGER NOT NULL,
    created_at    INTEGER NOT NULL
) STRICT;

-- Two tokens may be valid at once, so that they can be rotated. Only the SHA-256 of a token is kept.
CREATE TABLE auth_tokens (
    account_sid TEXT    NOT NULL REFERENCES accounts (sid),
    slot        INTEGER NOT NULL CHECK (slot IN (1, 2)),
    token_hash  BLOB    NOT NULL CHECK (length(token_hash) = 32),
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (account_sid, slot)
) STRICT;

CREATE TABLE services (
    sid         TEXT PRIMARY KEY,
    account_sid TEXT    NOT NULL REFERENCES accounts (sid),
    unique_name TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    UNIQUE (account_sid, unique_name)
) STRICT;

CREATE TABLE environments (
    sid               TEXT PRIMARY KEY,
    service_sid       TEXT    NOT NULL REFERENCES services (sid),
    unique_name       TEXT    NOT NULL,
    domain_name       TEXT    NOT NULL UNIQUE,
    live_build_sid    TEXT REFERENCES builds (sid),
    deployment_number INTEGER NOT NULL DEFAULT 0, -- of the newest deployment
    modified_floor    INTEGER NOT NULL DEFAULT 0,
    created_at        INTEGER NOT NULL,
    UNIQUE (service_sid, unique_name)
) STRICT;

CREATE TABLE blobs (
    hash       BLOB PRIMARY KEY CHECK (length(hash) = 32),
    size       INTEGER NOT NULL,
    sha256     BLOB    NOT NULL CHECK (length(sha256) = 32),
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE assets (
    sid           TEXT PRIMARY KEY,
    service_sid   TEXT    NOT NULL REFERENCES services (sid),
    friendly_name TEXT    NOT NULL,
    created_at    INTEGER NOT NULL,
    UNIQUE (service_sid, friendly_name)
) STRICT;

CREATE TABLE asset_versions (
    number       INTEGER PRIMARY KEY AUTOINCREMENT, -- newer ones are greater
    sid          TEXT    NOT NULL UNIQUE,
    asset_sid    TEXT    NOT NULL REFERENCES assets (sid),
    path         TEXT    NOT NULL,
    visibility   TEXT    NOT NULL CHECK (visibility IN ('public', 'protected', 'private')),
    blob_hash    BLOB    NOT NULL REFERENCES blobs (hash),
    content_type TEXT    NOT NULL,
    size         INTEGER NOT NULL,
    created_at   INTEGER NOT NULL
) STRICT;

CREATE TABLE builds (
    sid           TEXT PRIMARY KEY,
    service_sid   TEXT    NOT NULL REFERENCES services (sid),
    manifest_hash BLOB    NOT NULL REFERENCES blobs (hash),
    created_at    INTEGER NOT NULL
) STRICT;

CREATE TABLE build_versions (
    build_sid      TEXT    NOT NULL REFERENCES builds (sid),
    version_number INTEGER NOT NULL REFERENCES asset_versions (number),
    PRIMARY KEY (build_sid, version_number)
) STRICT, WITHOUT ROWID;

CREATE TABLE deployments (
    sid             TEXT PRIMARY KEY,
    environment_sid TEXT    NOT NULL REFERENCES environments (sid),
    number          INTEGER NOT NULL, -- counts from 1 in each environment
    build_sid       TEXT    NOT NULL REFERENCES builds (sid),
    history_hash    BLOB REFERENCES blobs (hash),
    epoch           INTEGER NOT NULL,
    revision        INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    UNIQUE (environment_sid, number)
) STRICT;

-- Which versions were ever live in an environment, and in which of its deployments they were last: NULL while they are live.
-- Histories are made from this, so that a deployment costs what it changes, not what was deployed before it.
CREATE TABLE environment_versions (
    environment_sid TEXT    NOT NULL REFERENCES environments (sid),
    version_number  INTEGER NOT NULL REFERENCES asset_versions (number),
    last_deployment INTEGER,
    PRIMARY KEY (environment_sid, version_number)
) STRICT, WITHOUT ROWID;

-- What a fill of an account may ask for: the blobs that a manifest or history of the account names, and these documents.
CREATE TABLE named_blobs (
    account_sid TEXT NOT NULL REFERENCES accounts (sid),
    blob_hash   BLOB NOT NULL REFERENCES blobs (hash),
    PRIMARY KEY (account_sid, blob_hash)
) STRICT, WITHOUT ROWID;

-- Every change that edges are told of, in order. Rows are added, never changed.
CREATE TABLE events (
    revision INTEGER PRIMARY KEY,
    epoch    INTEGER NOT NULL,
    domain   TEXT    NOT NULL,
    pointer  BLOB    NOT NULL -- the signed pointer as it travels
) STRICT;

-- The newest event of each domain.
CREATE TABLE pointers (
    domain   TEXT PRIMARY KEY,
    revision INTEGER NOT NULL REFERENCES events (revision)
) STRICT, WITHOUT ROWID;

CREATE TABLE edges (
    id              TEXT PRIMARY KEY,
    name            TEXT    NOT NULL,
    certificate_end INTEGER NOT NULL,
    enrolled_at     INTEGER NOT NULL,
    has_left        INTEGER NOT NULL DEFAULT 0, -- said goodbye at its last stop
    is_expelled     INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE join_tokens (
    secret_hash BLOB PRIMARY KEY CHECK (length(secret_hash) = 32),
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    used_at     INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX environment_versions_by_last_deployment ON environment_versions (environment_sid, last_deployment);
