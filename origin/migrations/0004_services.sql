-- The whole model that the REST API shows. Lists go by rowid, newest first.

ALTER TABLE services ADD COLUMN friendly_name TEXT NOT NULL DEFAULT '';
ALTER TABLE services ADD COLUMN include_credentials INTEGER NOT NULL DEFAULT 1 CHECK (include_credentials IN (0, 1));
ALTER TABLE services ADD COLUMN ui_editable INTEGER NOT NULL DEFAULT 0 CHECK (ui_editable IN (0, 1));
-- The first label of its environments' domains, before a suffix.
ALTER TABLE services ADD COLUMN domain_base TEXT NOT NULL DEFAULT '';
ALTER TABLE services ADD COLUMN updated_at INTEGER NOT NULL DEFAULT 0;
UPDATE services SET friendly_name = unique_name, updated_at = created_at, domain_base = coalesce(
    (SELECT substr(domain_name, 1, instr(domain_name, '.') - 1) FROM environments WHERE service_sid = services.sid),
    unique_name);

CREATE UNIQUE INDEX services_by_domain_base ON services (domain_base);

-- NULL: the environment for production.
ALTER TABLE environments ADD COLUMN domain_suffix TEXT;
ALTER TABLE environments ADD COLUMN updated_at INTEGER NOT NULL DEFAULT 0;
UPDATE environments SET updated_at = created_at;
CREATE UNIQUE INDEX environments_by_suffix ON environments (service_sid, coalesce(domain_suffix, ''));

CREATE TABLE variables (
    sid             TEXT PRIMARY KEY,
    environment_sid TEXT    NOT NULL REFERENCES environments (sid),
    key             TEXT    NOT NULL,
    value           TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    UNIQUE (environment_sid, key)
) STRICT;

-- A deleted asset gives its name free; its versions stay where builds have them.
CREATE TABLE new_assets (
    sid           TEXT PRIMARY KEY,
    service_sid   TEXT    NOT NULL REFERENCES services (sid),
    friendly_name TEXT    NOT NULL,
    is_deleted    INTEGER NOT NULL DEFAULT 0 CHECK (is_deleted IN (0, 1)),
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL
) STRICT;
INSERT INTO new_assets (sid, service_sid, friendly_name, created_at, updated_at)
SELECT sid, service_sid, friendly_name, created_at, created_at FROM assets ORDER BY rowid;
DROP TABLE assets;
ALTER TABLE new_assets RENAME TO assets;
CREATE UNIQUE INDEX assets_by_name ON assets (service_sid, friendly_name) WHERE is_deleted = 0;
CREATE INDEX assets_by_service ON assets (service_sid) WHERE is_deleted = 0;
CREATE INDEX asset_versions_by_asset ON asset_versions (asset_sid);

-- Functions are kept as they were uploaded. Nothing here runs them.
CREATE TABLE functions (
    sid           TEXT PRIMARY KEY,
    service_sid   TEXT    NOT NULL REFERENCES services (sid),
    friendly_name TEXT    NOT NULL,
    is_deleted    INTEGER NOT NULL DEFAULT 0 CHECK (is_deleted IN (0, 1)),
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX functions_by_name ON functions (service_sid, friendly_name) WHERE is_deleted = 0;
CREATE INDEX functions_by_service ON functions (service_sid) WHERE is_deleted = 0;

CREATE TABLE function_versions (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    sid          TEXT    NOT NULL UNIQUE,
    function_sid TEXT    NOT NULL REFERENCES functions (sid),
    path         TEXT    NOT NULL,
    visibility   TEXT    NOT NULL CHECK (visibility IN ('public', 'protected', 'private')),
    blob_hash    BLOB    NOT NULL REFERENCES blobs (hash),
    content_type TEXT    NOT NULL,
    size         INTEGER NOT NULL,
    created_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX function_versions_by_function ON function_versions (function_sid);

-- What names builds goes while they are made anew, and comes again below.
DROP VIEW accounts_showing_protected;
DROP TRIGGER build_versions_has_protected;

-- A build has a manifest when it is completed. A deleted one stays where deployments have it.
CREATE TABLE new_builds (
    sid           TEXT PRIMARY KEY,
    service_sid   TEXT    NOT NULL REFERENCES services (sid),
    status        TEXT    NOT NULL CHECK (status IN ('building', 'completed', 'failed')),
    failure       TEXT,                       -- why it failed
    manifest_hash BLOB REFERENCES blobs (hash),
    dependencies  TEXT    NOT NULL DEFAULT '[]', -- JSON, as given
    runtime       TEXT    NOT NULL DEFAULT '',
    is_deleted    INTEGER NOT NULL DEFAULT 0 CHECK (is_deleted IN (0, 1)),
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    has_protected INTEGER NOT NULL DEFAULT 0 CHECK (has_protected IN (0, 1)),
    CHECK ((status = 'completed') = (manifest_hash IS NOT NULL)),
    CHECK ((status = 'failed') = (failure IS NOT NULL))
) STRICT;
INSERT INTO new_builds (sid, service_sid, status, manifest_hash, created_at, updated_at, has_protected)
SELECT sid, service_sid, 'completed', manifest_hash, created_at, created_at, has_protected FROM builds ORDER BY rowid;
DROP TABLE builds;
ALTER TABLE new_builds RENAME TO builds;

CREATE TRIGGER build_versions_has_protected AFTER INSERT ON build_versions
WHEN (SELECT visibility FROM asset_versions WHERE number = NEW.version_number) = 'protected'
BEGIN
    UPDATE builds SET has_protected = 1 WHERE sid = NEW.build_sid;
END;

CREATE VIEW accounts_showing_protected AS
    SELECT DISTINCT account_sid FROM services
    JOIN environments ON environments.service_sid = services.sid
    JOIN builds ON builds.sid = live_build_sid
    WHERE has_protected;

CREATE INDEX builds_by_service ON builds (service_sid) WHERE is_deleted = 0;
CREATE INDEX builds_unfinished ON builds (sid) WHERE status = 'building';

CREATE TABLE build_functions (
    build_sid      TEXT    NOT NULL REFERENCES builds (sid),
    version_number INTEGER NOT NULL REFERENCES function_versions (number),
    PRIMARY KEY (build_sid, version_number)
) STRICT, WITHOUT ROWID;

-- A deployment of no build takes the environment off the net.
CREATE TABLE new_deployments (
    sid             TEXT PRIMARY KEY,
    environment_sid TEXT    NOT NULL REFERENCES environments (sid),
    number          INTEGER NOT NULL, -- counts from 1 in each environment
    build_sid       TEXT REFERENCES builds (sid),
    history_hash    BLOB REFERENCES blobs (hash),
    epoch           INTEGER NOT NULL,
    revision        INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    UNIQUE (environment_sid, number)
) STRICT;
INSERT INTO new_deployments (sid, environment_sid, number, build_sid, history_hash, epoch, revision, created_at)
SELECT sid, environment_sid, number, build_sid, history_hash, epoch, revision, created_at FROM deployments ORDER BY rowid;
DROP TABLE deployments;
ALTER TABLE new_deployments RENAME TO deployments;
CREATE INDEX deployments_by_environment ON deployments (environment_sid);

-- Only the SHA-256 of a secret is kept.
CREATE TABLE api_keys (
    sid           TEXT PRIMARY KEY,
    account_sid   TEXT    NOT NULL REFERENCES accounts (sid),
    friendly_name TEXT    NOT NULL,
    secret_hash   BLOB    NOT NULL CHECK (length(secret_hash) = 32),
    created_at    INTEGER NOT NULL,
    revoked_at    INTEGER
) STRICT;

-- Who did what to what, when and from where, written with what it tells of.
CREATE TABLE audit_log (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    account_sid TEXT    NOT NULL,
    credential  TEXT    NOT NULL, -- how the account was recognised
    address     TEXT    NOT NULL,
    action      TEXT    NOT NULL,
    subject_sid TEXT    NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX audit_log_by_account ON audit_log (account_sid);
CREATE TRIGGER audit_log_is_not_changed BEFORE UPDATE ON audit_log
BEGIN SELECT raise(ABORT, 'the audit log is only added to'); END;
CREATE TRIGGER audit_log_is_not_deleted BEFORE DELETE ON audit_log
BEGIN SELECT raise(ABORT, 'the audit log is only added to'); END;
