-- Keys of accounts: what signatures of requests and URLs are checked with.

-- The HMAC midstates of a token, of SHA-1 and then of SHA-256 (104 bytes): they check signatures, and log nobody in. NULL for a token
-- that was made before there were any, until it is shown again.
ALTER TABLE auth_tokens ADD COLUMN midstates BLOB CHECK (length(midstates) = 104);

CREATE TABLE signature_keys (
    id          TEXT PRIMARY KEY,
    account_sid TEXT    NOT NULL REFERENCES accounts (sid),
    algorithm   TEXT    NOT NULL CHECK (algorithm IN ('hmac_sha1', 'hmac_sha256')),
    midstates   BLOB    NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Public halves only. The same key may be of several accounts, of whom one learns nothing of another.
CREATE TABLE url_keys (
    account_sid TEXT    NOT NULL REFERENCES accounts (sid),
    id          TEXT    NOT NULL, -- JWK thumbprint (RFC 7638)
    algorithm   TEXT    NOT NULL CHECK (algorithm IN ('ed25519', 'es256')),
    public_key  BLOB    NOT NULL,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (account_sid, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX signature_keys_by_account ON signature_keys (account_sid);

-- Whether a build shows protected assets, so that edges get the secrets of the accounts that need them, and of no others. Kept by a
-- trigger: whichever operation makes a build, none can forget it.
ALTER TABLE builds ADD COLUMN has_protected INTEGER NOT NULL DEFAULT 0;

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
