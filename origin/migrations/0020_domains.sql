-- Domains that accounts bring along: claimed, and then proven by a record in DNS. Many may claim one; one has it.
CREATE TABLE domains (
    sid             TEXT PRIMARY KEY,
    environment_sid TEXT    NOT NULL REFERENCES environments (sid),
    domain_name     TEXT    NOT NULL,
    verified_at     INTEGER, -- NULL while it is only claimed
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    UNIQUE (environment_sid, domain_name)
) STRICT;
CREATE UNIQUE INDEX domains_live ON domains (domain_name) WHERE verified_at IS NOT NULL;
