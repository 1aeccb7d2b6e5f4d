//! TLS between edges: each shows its certificate of role edge, and believes those of the cluster's authority alone.
//!
//! An edge is known by the id in its certificate, not by a name or an address, so it may move. What is renewed or expelled counts
//! for the next handshake; who has been connected since before is looked at again with each call.

use super::expelled::Expelled;
use super::identity::Identity;
use arc_swap::ArcSwap;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig,
    SignatureScheme,
};
use skerry_proto::authority::edge_id;
use std::sync::Arc;

/// What HTTP/2 is called in ALPN (RFC 9113 §3.2).
const ALPN_HTTP2: &[u8] = b"h2";

/// Why TLS between edges cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The certificate, its key or the authority.
    #[error("the certificate of this edge cannot be used between edges: {0}")]
    Certificate(#[from] Error),
    /// The authority cannot be asked for certificates of clients.
    #[error("the cluster's authority cannot be used between edges: {0}")]
    Authority(#[from] rustls::server::VerifierBuilderError),
}

/// Both sides of TLS between edges, with the certificate that this edge has now.
#[derive(Debug)]
pub struct Trust {
    own_id: String,
    expelled: Arc<Expelled>,
    client: ArcSwap<ClientConfig>,
    server: Arc<ServerConfig>,
    shown: Arc<Shown>,
}

impl Trust {
    /// With the certificate of an identity; whoever is in `expelled` is believed no more.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn new(identity: &Identity, expelled: Arc<Expelled>) -> Result<Self, TrustError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(identity.authority.clone())?;
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build()?;
        let shown = Arc::new(Shown(ArcSwap::from(certified(identity, &provider)?)));
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::clone(&shown) as Arc<dyn ResolvesServerCert>);
        server.alpn_protocols = vec![ALPN_HTTP2.to_vec()];
        let client = ArcSwap::from_pointee(client(identity, &expelled)?);
        Ok(Self { own_id: identity.edge_id.clone(), expelled, client, server: Arc::new(server), shown })
    }

    /// Shows another certificate from the next handshake on.
    ///
    /// # Errors
    /// [`TrustError`]; the one before stays.
    pub fn replace(&self, identity: &Identity) -> Result<(), TrustError> {
        let client = client(identity, &self.expelled)?;
        let shown = certified(identity, &Arc::new(aws_lc_rs::default_provider()))?;
        self.client.store(Arc::new(client));
        self.shown.0.store(shown);
        Ok(())
    }

    /// The id of this edge.
    pub fn own_id(&self) -> &str {
        &self.own_id
    }

    /// For connections to other edges.
    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        self.client.load_full()
    }

    /// For connections that other edges make.
    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }

    /// Who an edge is that showed this chain in a handshake, unless it was expelled since.
    pub(crate) fn edge(&self, chain: Option<&[CertificateDer<'_>]>) -> Option<String> {
        edge_id(chain?.first()?).filter(|id| self.may_call(id))
    }

    /// Whether an edge was not expelled.
    pub(crate) fn may_call(&self, id: &str) -> bool {
        !self.expelled.contains(id)
    }
}

fn client(identity: &Identity, expelled: &Arc<Expelled>) -> Result<ClientConfig, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(identity.authority.clone())?;
    let verifier = EdgeVerifier { roots, provider: Arc::clone(&provider), expelled: Arc::clone(expelled) };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_auth_cert(vec![identity.certificate.clone()], key(identity))?;
    config.alpn_protocols = vec![ALPN_HTTP2.to_vec()];
    Ok(config)
}

fn certified(identity: &Identity, provider: &Arc<CryptoProvider>) -> Result<Arc<CertifiedKey>, Error> {
    let certified = CertifiedKey::from_der(vec![identity.certificate.clone()], key(identity), provider)?;
    Ok(Arc::new(certified))
}

fn key(identity: &Identity) -> PrivateKeyDer<'static> {
    identity.key.clone_key().into()
}

/// The certificate that is shown to callers; replaced when it is renewed.
#[derive(Debug)]
struct Shown(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// Believes every edge of the cluster that was not expelled, whatever address it is found at.
#[derive(Debug)]
struct EdgeVerifier {
    roots: RootCertStore,
    provider: Arc<CryptoProvider>,
    expelled: Arc<Expelled>,
}

impl ServerCertVerifier for EdgeVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&certificate, &self.roots, intermediates, now, algorithms)?;
        let is_edge = edge_id(end_entity).is_some_and(|id| !self.expelled.contains(&id));
        is_edge.then(ServerCertVerified::assertion).ok_or_else(|| {
            Error::General("what answers there is no edge of this cluster, or one that was expelled".into())
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        None
    }
}
