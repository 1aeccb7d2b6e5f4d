//! TLS as it is driven in every measurement: 1.3, AES-128-GCM, X25519, a P-256 certificate.
//!
//! The client offers nothing else, so every server does the same work whatever it prefers.

use crate::selection::Protocol;
use anyhow::Context;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Certificate and key of a server, as files.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// PEM, self-signed.
    pub(crate) certificate: PathBuf,
    /// PEM.
    pub(crate) key: PathBuf,
}

/// Makes a certificate for some host names; P-256 is what rcgen makes unless told otherwise.
pub(crate) fn make_identity(folder: &Path, file_name: &str, hosts: &[&str]) -> anyhow::Result<Identity> {
    let hosts = hosts.iter().map(|&host| host.to_owned()).collect::<Vec<_>>();
    let made = rcgen::generate_simple_self_signed(hosts)?;
    let file = |extension| folder.join(file_name).with_extension(extension);
    let identity = Identity { certificate: file("pem"), key: file("key") };
    std::fs::write(&identity.certificate, made.cert.pem())?;
    std::fs::write(&identity.key, made.signing_key.serialize_pem())?;
    Ok(identity)
}

/// A client that trusts the certificates in `roots_file` alone.
pub(crate) fn client_config(roots_file: &Path) -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let failed = || format!("cannot read certificates from {}", roots_file.display());
    for certificate in CertificateDer::pem_file_iter(roots_file).with_context(failed)? {
        roots.add(certificate.with_context(failed)?)?;
    }
    let provider = CryptoProvider {
        cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256],
        kx_groups: vec![aws_lc_rs::kx_group::X25519],
        ..aws_lc_rs::default_provider()
    };
    Ok(ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// The same client, for one protocol.
pub(crate) fn for_protocol(config: &ClientConfig, protocol: Protocol) -> ClientConfig {
    let mut config = config.clone();
    config.alpn_protocols = vec![protocol.alpn().to_vec()];
    config
}
