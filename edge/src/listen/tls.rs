//! The TLS configurations of the listeners, shared by all workers.
//!
//! TLS 1.3 and 1.2 over TCP, 1.3 alone in QUIC (RFC 9001 §4.2); only AEAD suites. Early data is off: a request in it could be
//! replayed. Tickets are sealed with keys that rotate, so that any worker resumes any session and no state is kept.

use crate::config::ServerIdentity;
use rustls::crypto::aws_lc_rs::{self, Ticketer};
use rustls::server::NoServerSessionStorage;
use rustls::{CipherSuite, ServerConfig, SupportedProtocolVersion};
use std::sync::Arc;

/// What a TLS connection may hold unsent. 1 MiB costs 75 % more CPU for each byte of a large body (it leaves the processor's
/// caches), 16 KiB 17 %.
pub(super) const BUFFER_SIZE_MAX: usize = 256 << 10;

/// What HTTP/2 is called in ALPN (RFC 9113 §3.2).
pub(super) const ALPN_HTTP2: &[u8] = b"h2";
const ALPN_HTTP1: &[u8] = b"http/1.1";
const ALPN_HTTP3: &[u8] = b"h3";

/// One configuration for each transport.
#[derive(Debug, Clone)]
pub(super) struct TlsConfigs {
    pub(super) tcp: Arc<ServerConfig>,
    pub(super) quic: Arc<ServerConfig>,
}

impl TlsConfigs {
    pub(super) fn new(identity: &ServerIdentity) -> Result<Self, rustls::Error> {
        let ticketer = Ticketer::new()?;
        let config = |versions: &[&'static SupportedProtocolVersion], alpn: &[&[u8]]| {
            let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
                .with_protocol_versions(versions)?
                .with_no_client_auth()
                .with_single_cert(identity.chain.clone(), identity.key.clone_key())?;
            config.alpn_protocols = alpn.iter().map(|&name| name.to_vec()).collect();
            config.ignore_client_order = true;
            config.max_early_data_size = 0;
            config.ticketer = Arc::clone(&ticketer);
            config.session_storage = Arc::new(NoServerSessionStorage {});
            Ok::<_, rustls::Error>(Arc::new(config))
        };
        Ok(Self {
            tcp: config(&[&rustls::version::TLS13, &rustls::version::TLS12], &[ALPN_HTTP2, ALPN_HTTP1])?,
            quic: config(&[&rustls::version::TLS13], &[ALPN_HTTP3])?,
        })
    }
}

/// All of aws-lc-rs' suites are AEAD, and its groups include X25519MLKEM768. AES-128-GCM comes first: 17 % less CPU for each byte of
/// a large body than AES-256-GCM, and as good for secrets of this kind.
fn provider() -> rustls::crypto::CryptoProvider {
    const FIRST: [CipherSuite; 3] = [
        CipherSuite::TLS13_AES_128_GCM_SHA256,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ];
    let mut provider = aws_lc_rs::default_provider();
    // A stable sort: the rest keeps its order.
    provider.cipher_suites.sort_by_key(|suite| !FIRST.contains(&suite.suite()));
    provider
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aes_128_gcm_is_preferred_in_both_versions() {
        let suites = provider().cipher_suites;
        assert_eq!(suites.len(), aws_lc_rs::default_provider().cipher_suites.len());
        assert_eq!(suites[0].suite(), CipherSuite::TLS13_AES_128_GCM_SHA256);
        assert!(suites[..3].iter().all(|suite| format!("{suite:?}").contains("AES_128_GCM")));
    }

    #[test]
    fn a_post_quantum_group_is_offered() {
        let groups = provider().kx_groups;
        assert!(groups.iter().any(|group| group.name() == rustls::NamedGroup::X25519MLKEM768));
    }
}
