-- Accounts that take API keys only, what each service may hold, and an audit log that can say more.

ALTER TABLE accounts ADD COLUMN keys_only INTEGER NOT NULL DEFAULT 0 CHECK (keys_only IN (0, 1));

ALTER TABLE api_keys ADD COLUMN updated_at INTEGER NOT NULL DEFAULT 0;
UPDATE api_keys SET updated_at = created_at;
CREATE INDEX api_keys_by_account ON api_keys (account_sid) WHERE revoked_at IS NULL;

-- NULL: as the origin's configuration says.
ALTER TABLE services ADD COLUMN served_size_max INTEGER CHECK (served_size_max > 0);
ALTER TABLE services ADD COLUMN served_count_max INTEGER CHECK (served_count_max > 0);
ALTER TABLE services ADD COLUMN private_size_max INTEGER CHECK (private_size_max > 0);
ALTER TABLE services ADD COLUMN private_count_max INTEGER CHECK (private_count_max > 0);

-- What was chosen or set, where the action alone does not tell.
ALTER TABLE audit_log ADD COLUMN detail TEXT;
CREATE INDEX audit_log_by_subject ON audit_log (subject_sid);

-- Usage counts deleted ones, too: their versions are stored.
CREATE INDEX assets_of_service ON assets (service_sid);
CREATE INDEX functions_of_service ON functions (service_sid);
