//! The HTTPS certificate of an edge: the operator's files, else one of a local authority in the edge's data folder; and that of the
//! REST API, from files only.
//!
//! The local authority is for first steps and closed networks: clients must be told to trust its `ca.pem`. It is reused at the next
//! start, and remade when it is near its end. Everything here blocks.

use crate::config::{EdgeSettings, OriginSettings};
use crate::failure::Failure;
use crate::files;
use anyhow::Context;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use skerry_edge::config::ServerIdentity;
use skerry_folder::{DataFolder, Readers};
use skerry_origin::ApiCertificate;
use skerry_proto::authority::{Authority, Identity, not_after};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(86_400);

/// How long a certificate of a local authority lasts. Browsers refuse more than 398 days.
const LIFETIME: Duration = Duration::from_secs(397 * 86_400);

/// A certificate that ends within this time is remade at the start; a process may run for long.
const LEAF_REST_MIN: Duration = Duration::from_secs(200 * 86_400);

/// The same for the authority, which clients have to be told about again.
const AUTHORITY_REST_MIN: Duration = LIFETIME;

/// The certificate that the settings name, or one of the local authority in the folder of the edge.
///
/// # Errors
/// Names the file or the name that cannot be used.
pub(crate) fn of_edge(
    settings: &EdgeSettings,
    folder: &DataFolder,
    now: SystemTime,
) -> Result<ServerIdentity, Failure> {
    match (&settings.https_certificate, &settings.https_key) {
        (Some(certificate), Some(key)) => {
            let (chain, key) = from_files("https", certificate, key)?;
            Ok(ServerIdentity { chain, key })
        }
        _ => local(folder.path(), &settings.https_names, now),
    }
}

/// A certificate of an authority that is at hand, for a server that makes one at each start.
///
/// # Errors
/// A name that no certificate can have.
pub(crate) fn issue(
    authority: &Authority,
    names: &[String],
    now: SystemTime,
) -> Result<ServerIdentity, Failure> {
    let identity = authority.issue_server(names, now, LIFETIME).map_err(|error| Failure::of(&error))?;
    Ok(server_identity(&identity))
}

/// The certificate that the settings of an origin name for its API.
///
/// # Errors
/// Names the file that cannot be used.
pub(crate) fn of_api(settings: &OriginSettings) -> Result<Option<ApiCertificate>, Failure> {
    let (Some(certificate), Some(key)) = (&settings.api_certificate, &settings.api_key) else {
        return Ok(None);
    };
    let (chain, key) = from_files("api", certificate, key)?;
    Ok(Some(ApiCertificate { chain, key: Arc::new(key) }))
}

fn from_files(
    table: &str,
    certificate: &Path,
    key: &Path,
) -> anyhow::Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| {
        format!("cannot read certificates from {table}.certificate = {}", certificate.display())
    })?;
    anyhow::ensure!(
        !chain.is_empty(),
        "there is no certificate in {table}.certificate = {}",
        certificate.display()
    );
    let key = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("cannot read a private key from {table}.key = {}", key.display()))?;
    Ok((chain, key))
}

/// The files of a local authority.
struct Files {
    ca: PathBuf,
    ca_key: PathBuf,
    leaf: PathBuf,
    leaf_key: PathBuf,
    /// Which names the leaf covers, one a line.
    leaf_names: PathBuf,
}

fn local(data: &Path, names: &[String], now: SystemTime) -> Result<ServerIdentity, Failure> {
    let files = Files {
        ca: data.join("ca.pem"),
        ca_key: data.join("ca-key.pem"),
        leaf: data.join("https.pem"),
        leaf_key: data.join("https-key.pem"),
        leaf_names: data.join("https-names"),
    };
    let identity = files.identity(names, now)?;
    tracing::warn!(
        ca = %files.ca.display(),
        names = names.join(", "),
        "no https.certificate is set; clients must trust the authority of this edge, in the file ca, and it covers these names only: set https.names to those in your URLs, such as *.BASE_DOMAIN"
    );
    Ok(server_identity(&identity))
}

impl Files {
    fn identity(&self, names: &[String], now: SystemTime) -> Result<Identity, Failure> {
        let kept = read(&self.ca, &self.ca_key)?.filter(|kept| lasts(kept, now, AUTHORITY_REST_MIN));
        let (authority, is_new) = match kept {
            Some(kept) => (kept, false),
            None => (self.make_authority(now)?, true),
        };
        let wanted = names.join("\n");
        let has_names = fs::read_to_string(&self.leaf_names).is_ok_and(|kept| kept == wanted);
        if !is_new
            && has_names
            && let Some(kept) = read(&self.leaf, &self.leaf_key)?
            && lasts(&kept, now, LEAF_REST_MIN)
        {
            return Ok(kept);
        }
        let authority = Authority::new(&authority).map_err(|error| Failure::of(&error))?;
        let leaf = authority
            .issue_server(names, now, LIFETIME)
            .map_err(|error| Failure::usage(format!("https.names: {error}")))?;
        // The names last: a leaf without them is made again.
        files::remove(&self.leaf_names)?;
        files::write(&self.leaf_key, leaf.key_pem().as_bytes(), Readers::Owner)?;
        files::write(&self.leaf, leaf.certificate_pem().as_bytes(), Readers::Owner)?;
        files::write(&self.leaf_names, wanted.as_bytes(), Readers::Owner)?;
        Ok(leaf)
    }

    fn make_authority(&self, now: SystemTime) -> Result<Identity, Failure> {
        let authority =
            Authority::generate("Skerry local authority", now).map_err(|error| Failure::of(&error))?;
        // The leaf of an authority that is gone is worth nothing; without its names it is made again.
        files::remove(&self.leaf_names)?;
        files::remove(&self.ca)?;
        files::write(&self.ca_key, authority.key_pem().as_bytes(), Readers::Owner)?;
        files::write(&self.ca, authority.certificate_pem().as_bytes(), Readers::All)?;
        Ok(authority)
    }
}

/// A certificate and its key, or `None` where either is missing.
fn read(certificate: &Path, key: &Path) -> anyhow::Result<Option<Identity>> {
    if !certificate.is_file() || !key.is_file() {
        return Ok(None);
    }
    let unusable = |path: &Path| format!("cannot use {}; remove it to have it made again", path.display());
    Ok(Some(Identity {
        certificate: CertificateDer::from_pem_file(certificate).with_context(|| unusable(certificate))?,
        key: PrivatePkcs8KeyDer::from_pem_file(key).with_context(|| unusable(key))?,
    }))
}

fn lasts(identity: &Identity, now: SystemTime, rest: Duration) -> bool {
    not_after(&identity.certificate).is_some_and(|end| end > now + rest.max(DAY))
}

fn server_identity(identity: &Identity) -> ServerIdentity {
    ServerIdentity { chain: vec![identity.certificate.clone()], key: identity.private_key() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_local_authority_is_kept_and_its_certificate_remade_near_its_end_or_for_other_names() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = folder.path();
        let now = SystemTime::now();
        let localhost = names(&["localhost", "127.0.0.1"]);
        let leaf = |names: &[String], now| local(data, names, now).expect("made").chain;
        let first = leaf(&localhost, now);
        let ca = fs::read(data.join("ca.pem")).expect("written");
        assert_eq!(leaf(&localhost, now + DAY), first);
        assert_ne!(leaf(&localhost, now + 300 * DAY), first);
        assert_ne!(leaf(&names(&["other.example"]), now), first);
        assert_eq!(fs::read(data.join("ca.pem")).expect("still there"), ca);
        leaf(&localhost, now + 3600 * DAY);
        assert_ne!(fs::read(data.join("ca.pem")).expect("made again"), ca);
    }

    #[test]
    fn keys_are_for_their_owner_and_the_authority_is_for_all() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        local(folder.path(), &names(&["localhost"]), SystemTime::now()).expect("made");
        let mode = |name: &str| {
            fs::metadata(folder.path().join(name)).expect("written").permissions().mode() & 0o777
        };
        assert_eq!((mode("ca.pem"), mode("ca-key.pem"), mode("https-key.pem")), (0o644, 0o600, 0o600));
    }

    #[test]
    fn files_that_cannot_be_read_are_named_with_their_key() {
        let error =
            from_files("https", Path::new("/no/cert.pem"), Path::new("/no/key.pem")).expect_err("missing");
        assert!(format!("{error:#}").contains("https.certificate = /no/cert.pem"));
    }
}
