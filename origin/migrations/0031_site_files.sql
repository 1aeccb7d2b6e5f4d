-- The version of the site file of a build, so that a deployment need not look for it among all versions. Kept by a trigger, as
-- has_protected is.
ALTER TABLE builds ADD COLUMN site_file INTEGER REFERENCES asset_versions (number);
UPDATE builds SET site_file = (
    SELECT number FROM build_versions JOIN asset_versions ON number = version_number
    WHERE build_sid = builds.sid AND path = '/_skerry.toml');

CREATE TRIGGER build_versions_site_file AFTER INSERT ON build_versions
WHEN (SELECT path FROM asset_versions WHERE number = NEW.version_number) = '/_skerry.toml'
BEGIN
    UPDATE builds SET site_file = NEW.version_number WHERE sid = NEW.build_sid;
END;
