//! Connections of other edges: accepted, counted, and past the handshake that says who they are.

use crate::control::Trust;
use crate::metrics::{GiveRefusal, Metrics};
use std::io;
use std::net::TcpListener as StdListener;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;

/// Time for a TLS handshake.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);

/// Connections past the handshake that nobody has taken yet.
const QUEUE: usize = 64;

/// A pause after an accept that failed, as it does when the process has too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections as they come.
pub(super) struct Incoming(mpsc::Receiver<io::Result<PeerStream>>);

/// Who made a connection: an edge of the cluster.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) edge_id: Arc<str>,
}

/// A connection of another edge.
pub(super) struct PeerStream {
    stream: TlsStream<TcpStream>,
    peer: Peer,
    metrics: Arc<Metrics>,
    _permit: OwnedSemaphorePermit,
}

/// What accepting needs.
#[derive(Clone)]
struct Door {
    trust: Arc<Trust>,
    places: Arc<Semaphore>,
    metrics: Arc<Metrics>,
    ready: mpsc::Sender<io::Result<PeerStream>>,
}

impl Incoming {
    /// Accepts on all listeners until `stop` is cancelled.
    pub(super) fn start(
        listeners: Vec<StdListener>,
        trust: Arc<Trust>,
        connection_count_max: usize,
        metrics: Arc<Metrics>,
        stop: &CancellationToken,
    ) -> Self {
        metrics.tiers.give.connections.max.set(connection_count_max as f64);
        let (ready, connections) = mpsc::channel(QUEUE);
        let door = Door { trust, places: Arc::new(Semaphore::new(connection_count_max)), metrics, ready };
        for listener in listeners {
            let (door, stop) = (door.clone(), stop.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = door.accept_all(listener) => {}
                    () = stop.cancelled() => {}
                }
            });
        }
        Self(connections)
    }

    pub(super) fn connections(self) -> ReceiverStream<io::Result<PeerStream>> {
        ReceiverStream::new(self.0)
    }
}

impl Door {
    async fn accept_all(&self, listener: StdListener) {
        let listener = match TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!(%error, "the fill listener cannot be used"),
        };
        loop {
            match listener.accept().await {
                Ok((socket, _)) => self.admit(socket),
                Err(error) => {
                    tracing::warn!(%error, "a connection of another edge was not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Does the handshake aside, so that a slow one holds nobody up.
    fn admit(&self, socket: TcpStream) {
        let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() else {
            self.metrics.tiers.give.connections.refused.increment(1);
            return;
        };
        let door = self.clone();
        tokio::spawn(async move {
            let shaken = timeout(HANDSHAKE_TIME_MAX, door.shake_hands(socket, permit)).await;
            match shaken {
                // The server has ended when nobody takes it.
                Ok(Ok(stream)) => drop(door.ready.send(Ok(stream)).await),
                Ok(Err(error)) => {
                    door.metrics.tiers.give.refused(GiveRefusal::Certificate);
                    tracing::debug!(%error, "a caller of the fill listener is no edge that may call");
                }
                Err(_) => tracing::debug!("a caller of the fill listener did not finish its handshake"),
            }
        });
    }

    async fn shake_hands(&self, socket: TcpStream, permit: OwnedSemaphorePermit) -> io::Result<PeerStream> {
        socket.set_nodelay(true)?;
        let stream = TlsAcceptor::from(self.trust.server()).accept(socket).await?;
        let edge_id = self.trust.edge(stream.get_ref().1.peer_certificates());
        let edge_id =
            edge_id.ok_or_else(|| io::Error::other("its certificate is no edge's, or was expelled"))?;
        self.metrics.tiers.give.connections.used.increment(1);
        let (peer, metrics) = (Peer { edge_id: edge_id.into() }, Arc::clone(&self.metrics));
        Ok(PeerStream { stream, peer, metrics, _permit: permit })
    }
}

impl Connected for PeerStream {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl Drop for PeerStream {
    fn drop(&mut self) {
        self.metrics.tiers.give.connections.used.decrement(1);
    }
}

impl AsyncRead for PeerStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for PeerStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
