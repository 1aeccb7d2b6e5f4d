//! Another edge as an upstream: a shield, or a neighbour. It speaks the same service as the origin, over TLS between edges.

use super::hot::{HOT_MAX, Named, from_wire};
use super::upstream::{MESSAGE_SIZE_MAX, SliceStream, Upstream, UpstreamError, error};
use crate::control::Trust;
use arc_swap::ArcSwapOption;
use futures_util::future::BoxFuture;
use futures_util::stream::StreamExt;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use skerry_proto::wire;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::codegen::Service;
use tonic::codegen::http::Uri;
use tonic::transport::{Channel, Endpoint};

/// Flow control for slices of 256 KiB, as towards the origin.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

/// A connection on which nothing moves is probed this often, and given up after as long again.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// Another edge at an address.
pub(super) struct PeerUpstream {
    connector: Connector,
    channel: Channel,
    /// For a connection, with its handshake.
    connect_time_max: Duration,
}

/// Makes connections to one edge.
#[derive(Clone)]
struct Connector {
    trust: Arc<Trust>,
    /// `HOST:PORT`, resolved at each connection.
    address: Arc<str>,
    /// Who must answer there; `None`: whoever is an edge of the cluster.
    expected: Option<Arc<str>>,
    /// Who answered last.
    answered: Arc<ArcSwapOption<String>>,
}

impl PeerUpstream {
    /// The edge at `HOST:PORT`; the one with this id, where there is one. Connects when first used, and again after a failure.
    pub(super) fn new(
        trust: Arc<Trust>,
        address: &str,
        expected: Option<Arc<str>>,
        connect_time_max: Duration,
    ) -> Self {
        let connector = Connector { trust, address: address.into(), expected, answered: Arc::default() };
        // The name is looked at by nobody: the connector knows where to go, and certificates name ids.
        let endpoint = Endpoint::from_static("http://edge.invalid")
            .connect_timeout(connect_time_max)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        let channel = endpoint.connect_with_connector_lazy(connector.clone());
        Self { connector, channel, connect_time_max }
    }
}

impl Upstream for PeerUpstream {
    fn open(&self, request: wire::FillRequest) -> BoxFuture<'_, Result<SliceStream, UpstreamError>> {
        Box::pin(async move {
            if self.connector.is_expelled() {
                return Err(UpstreamError::Unavailable("the edge that answers there was expelled".into()));
            }
            let mut client = wire::fill_client::FillClient::new(self.channel.clone())
                .max_decoding_message_size(MESSAGE_SIZE_MAX);
            let stream = client.fill(request).await.map_err(error)?.into_inner();
            Ok(stream.map(|message| message.map_err(error)).boxed())
        })
    }

    fn hot(&self) -> BoxFuture<'_, Vec<Named>> {
        Box::pin(async move {
            let mut client = wire::peer_client::PeerClient::new(self.channel.clone())
                .max_decoding_message_size(MESSAGE_SIZE_MAX);
            let count_max = u32::try_from(HOT_MAX).unwrap_or(u32::MAX);
            let asked = client.hot(wire::HotRequest { count_max });
            match timeout(self.connect_time_max, asked).await {
                Ok(Ok(said)) => from_wire(said.get_ref()),
                Ok(Err(_)) | Err(_) => Vec::new(),
            }
        })
    }

    fn probe(&self) -> BoxFuture<'_, bool> {
        Box::pin(async move {
            matches!(timeout(self.connect_time_max, self.connector.connect()).await, Ok(Ok(_)))
        })
    }
}

/// Who answers at `HOST:PORT`.
pub(super) async fn identify(trust: &Arc<Trust>, address: &str, time_max: Duration) -> io::Result<String> {
    let (trust, answered) = (Arc::clone(trust), Arc::default());
    let connector = Connector { trust, address: address.into(), expected: None, answered };
    let connected = timeout(time_max, connector.connect()).await;
    let stream = connected.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    connector.id(&stream).ok_or_else(|| io::Error::other("no edge of this cluster answers there"))
}

impl Connector {
    async fn connect(&self) -> io::Result<TlsStream<TcpStream>> {
        let tcp = TcpStream::connect(&*self.address).await?;
        tcp.set_nodelay(true)?;
        // An address, because no name is sent for one.
        let nameless = ServerName::from(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let stream = TlsConnector::from(self.trust.client()).connect(nameless, tcp).await?;
        let id = self.id(&stream).ok_or_else(|| io::Error::other("no edge of this cluster answers there"))?;
        if self.expected.as_ref().is_some_and(|expected| id != **expected) {
            return Err(io::Error::other("another edge answers at its address now"));
        }
        self.answered.store(Some(Arc::new(id)));
        Ok(stream)
    }

    /// A connection may be older than the expulsion of who is at its other end.
    fn is_expelled(&self) -> bool {
        self.answered.load().as_ref().is_some_and(|id| !self.trust.may_call(id))
    }

    fn id(&self, stream: &TlsStream<TcpStream>) -> Option<String> {
        self.trust.edge(stream.get_ref().1.peer_certificates())
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { Ok(TokioIo::new(connector.connect().await?)) })
    }
}
