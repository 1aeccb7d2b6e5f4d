//! The connection to the origin.

use super::identity::Identity;
use arc_swap::ArcSwap;
use skerry_proto::authority::pem;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

/// Flow control for slices of 256 KiB: 16 of them on a stream, 64 on the connection.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// A connection on which nothing moves is probed this often, and given up after as long again.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// A gRPC channel that is replaced when the edge's certificate is renewed. Connects when first used, and again after a failure.
#[derive(Debug, Clone)]
pub struct OriginChannel {
    url: Arc<str>,
    current: Arc<ArcSwap<Channel>>,
    replaced: Arc<watch::Sender<()>>,
}

impl OriginChannel {
    /// A channel to `url` that shows the edge's certificate.
    ///
    /// # Errors
    /// When the URL is none, or a certificate cannot be used.
    pub fn new(url: &str, identity: &Identity) -> Result<Self, tonic::transport::Error> {
        let channel = channel(url, identity)?;
        let (current, replaced) = (Arc::new(ArcSwap::from_pointee(channel)), Arc::default());
        Ok(Self { url: url.into(), current, replaced })
    }

    /// The channel to use for the next call.
    pub fn current(&self) -> Channel {
        Channel::clone(&self.current.load())
    }

    /// Shows another certificate from the next call on.
    ///
    /// # Errors
    /// When the certificate cannot be used.
    pub fn replace(&self, identity: &Identity) -> Result<(), tonic::transport::Error> {
        self.current.store(Arc::new(channel(&self.url, identity)?));
        self.replaced.send_replace(());
        Ok(())
    }

    /// A wake-up after each replacement.
    pub(super) fn replaced(&self) -> watch::Receiver<()> {
        self.replaced.subscribe()
    }

    /// A channel to the same origin that shows no certificate.
    ///
    /// # Errors
    /// When the authority's certificate cannot be used.
    pub(super) fn anonymous(&self, authority: &[u8]) -> Result<Channel, tonic::transport::Error> {
        anonymous(&self.url, authority)
    }
}

/// A channel without a certificate of the caller's, for enrolment.
pub(super) fn anonymous(url: &str, authority: &[u8]) -> Result<Channel, tonic::transport::Error> {
    Ok(endpoint(url, trust(authority))?.connect_lazy())
}

fn channel(url: &str, identity: &Identity) -> Result<Channel, tonic::transport::Error> {
    let certificate = pem("CERTIFICATE", &identity.certificate);
    let key = pem("PRIVATE KEY", identity.key.secret_pkcs8_der());
    let tls = trust(&identity.authority).identity(tonic::transport::Identity::from_pem(certificate, key));
    Ok(endpoint(url, tls)?.connect_lazy())
}

fn trust(authority: &[u8]) -> ClientTlsConfig {
    ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem("CERTIFICATE", authority)))
}

fn endpoint(url: &str, tls: ClientTlsConfig) -> Result<Endpoint, tonic::transport::Error> {
    Ok(Endpoint::from_shared(url.to_owned())?
        .tls_config(tls)?
        .connect_timeout(CONNECT_TIME_MAX)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW))
}
