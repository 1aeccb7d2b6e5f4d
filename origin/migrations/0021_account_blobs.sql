-- How many asset versions of an account are of a blob. Whether an account has some bytes is answered from here alone, by its own key:
-- what others have is not even read on the way.
CREATE TABLE account_blobs (
    account_sid   TEXT    NOT NULL REFERENCES accounts (sid),
    blob_hash     BLOB    NOT NULL REFERENCES blobs (hash),
    version_count INTEGER NOT NULL CHECK (version_count > 0),
    PRIMARY KEY (account_sid, blob_hash)
) STRICT, WITHOUT ROWID;

INSERT INTO account_blobs (account_sid, blob_hash, version_count)
SELECT account_sid, blob_hash, count(*)
FROM asset_versions JOIN assets ON assets.sid = asset_sid JOIN services ON services.sid = service_sid
GROUP BY account_sid, blob_hash;

-- Kept by triggers: whichever operation adds or deletes versions, none can forget it.
CREATE TRIGGER asset_versions_count_up AFTER INSERT ON asset_versions
BEGIN
    INSERT INTO account_blobs (account_sid, blob_hash, version_count)
    SELECT account_sid, NEW.blob_hash, 1 FROM assets JOIN services ON services.sid = service_sid WHERE assets.sid = NEW.asset_sid
    ON CONFLICT DO UPDATE SET version_count = version_count + 1;
END;

-- Before, while it is still known whose it is.
CREATE TRIGGER asset_versions_count_down BEFORE DELETE ON asset_versions
BEGIN
    DELETE FROM account_blobs WHERE blob_hash = OLD.blob_hash AND version_count = 1 AND account_sid =
        (SELECT account_sid FROM assets JOIN services ON services.sid = service_sid WHERE assets.sid = OLD.asset_sid);
    UPDATE account_blobs SET version_count = version_count - 1
    WHERE blob_hash = OLD.blob_hash AND version_count > 1 AND account_sid =
        (SELECT account_sid FROM assets JOIN services ON services.sid = service_sid WHERE assets.sid = OLD.asset_sid);
END;
