//! Whose certificates are believed.

use crate::failure::Failure;
use anyhow::Context;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;

/// Where systems keep the authorities that they trust; the first that is there is taken.
const SYSTEM_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The authorities that are believed.
#[derive(Debug, Clone)]
pub(crate) struct Trust {
    roots: RootCertStore,
}

impl Trust {
    /// One authority and nobody else.
    ///
    /// # Errors
    /// Names the file.
    pub(crate) fn only(file: &Path) -> Result<Self, Failure> {
        let mut trust = Self { roots: RootCertStore::empty() };
        trust.add(file)?;
        Ok(trust)
    }

    /// The system's authorities, and one more where there is one. Blocks.
    ///
    /// # Errors
    /// Names the file of the one more.
    pub(crate) fn system_and(file: Option<&Path>) -> Result<Self, Failure> {
        let mut trust = Self { roots: RootCertStore::empty() };
        let bundle = SYSTEM_BUNDLES.iter().map(Path::new).find(|bundle| bundle.is_file());
        if let Some(certificates) = bundle.and_then(|bundle| read(bundle).ok()) {
            trust.roots.add_parsable_certificates(certificates);
        }
        if let Some(file) = file {
            trust.add(file)?;
        }
        Ok(trust)
    }

    /// A TLS configuration that offers these protocols.
    pub(super) fn config(&self, protocols: &[&[u8]]) -> ClientConfig {
        let mut config =
            ClientConfig::builder().with_root_certificates(self.roots.clone()).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        config
    }

    fn add(&mut self, file: &Path) -> Result<(), Failure> {
        let certificates = read(file).map_err(|error| Failure::usage(format!("{error:#}")))?;
        for certificate in certificates {
            self.roots
                .add(certificate)
                .with_context(|| format!("cannot use the certificate in {}", file.display()))?;
        }
        Ok(())
    }
}

fn read(file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("cannot read certificates from {}", file.display()))?;
    anyhow::ensure!(!certificates.is_empty(), "there is no certificate in {}", file.display());
    Ok(certificates)
}
