-- Sessions of the console. They outlive a restart of the origin, so that nobody is signed out in the middle of an upload.
-- Of cookie and page secret only SHA-256 is kept. A session ends with the credential that it was begun with: `credential_hash` is the
-- hash of that very secret, so a new token in the same slot does not revive it.

CREATE TABLE console_sessions (
    session_hash    BLOB PRIMARY KEY CHECK (length(session_hash) = 32),
    page_hash       BLOB    NOT NULL CHECK (length(page_hash) = 32),
    account_sid     TEXT    NOT NULL REFERENCES accounts (sid),
    credential      TEXT    NOT NULL, -- as in the audit log
    credential_hash BLOB    NOT NULL CHECK (length(credential_hash) = 32),
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX console_sessions_by_account ON console_sessions (account_sid, created_at);
CREATE INDEX asset_versions_by_path ON asset_versions (path);
