//! Sockets of the listeners: bound before anything is served, counted, and cut when the origin must end.

use futures_util::Stream;
use futures_util::stream::{SelectAll, StreamExt, unfold};
use metrics::{Counter, Gauge};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Connections that wait in the system's queue at most.
const BACKLOG: i32 = 1024;

/// Tries to find a port that is free on all addresses, where the system may choose.
const PORT_TRIES: usize = 16;

/// A pause after an accept that failed, as it does when the process has too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why a listener could not be bound.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another process listens there.
    #[error(
        "the {what} address {address} is in use; stop the process that listens there, or choose another address"
    )]
    InUse {
        /// Of which listener.
        what: &'static str,
        /// Which one.
        address: SocketAddr,
    },
    /// There is nothing to bind.
    #[error("no {0} address is configured")]
    None(&'static str),
    /// Anything else that the system refuses.
    #[error("cannot listen on the {what} address {address}")]
    Io {
        /// Of which listener.
        what: &'static str,
        /// Which one.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// Listening sockets, of which nothing is accepted yet.
#[derive(Debug)]
pub(crate) struct BoundSockets {
    listeners: Vec<TcpListener>,
    first: SocketAddr,
    connection_count_max: usize,
}

/// How the connections of a listener are counted.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionFigures {
    /// Open ones.
    pub(crate) open: Gauge,
    /// How many may be.
    pub(crate) open_max: Gauge,
    /// Times that no further one was taken until another ended.
    pub(crate) pauses: Counter,
}

/// Binds all addresses, for so many connections at a time; further ones wait in the system's queue. With port 0 the first one picks a free port, which the others use too.
///
/// # Errors
/// Any [`ListenError`]; nothing stays bound then.
pub(crate) fn bind(
    what: &'static str,
    addresses: &[SocketAddr],
    connection_count_max: usize,
) -> Result<BoundSockets, ListenError> {
    let (first, others) = addresses.split_first().ok_or(ListenError::None(what))?;
    let mut tries = 0;
    loop {
        tries += 1;
        match bind_all(what, *first, others, connection_count_max) {
            // The port that was free on the first address is taken on another one.
            Err(ListenError::InUse { .. }) if first.port() == 0 && tries < PORT_TRIES => {}
            other => return other,
        }
    }
}

fn bind_all(
    what: &'static str,
    first: SocketAddr,
    others: &[SocketAddr],
    connection_count_max: usize,
) -> Result<BoundSockets, ListenError> {
    let (listener, first) = bind_one(what, first)?;
    let mut listeners = vec![listener];
    for address in others {
        let port = if address.port() == 0 { first.port() } else { address.port() };
        match bind_one(what, SocketAddr::new(address.ip(), port)) {
            Ok((listener, _)) => listeners.push(listener),
            // A machine without IPv6 has no ::1, and nobody there asks for it.
            Err(ListenError::Io { address, source, .. })
                if address.ip().is_loopback()
                    && address.is_ipv6()
                    && matches!(
                        source.kind(),
                        io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported
                    ) =>
            {
                tracing::warn!(%address, error = %source, "not listening on an address that this machine does not have");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(BoundSockets { listeners, first, connection_count_max })
}

fn bind_one(what: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), ListenError> {
    let bound = || -> io::Result<(TcpListener, SocketAddr)> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // Else connections of the last run, in TIME_WAIT, look like a port in use.
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let listener = TcpListener::from_std(socket.into())?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    bound().map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::InUse { what, address },
        _ => ListenError::Io { what, address, source },
    })
}

impl BoundSockets {
    /// The first address, with the port that was picked.
    pub(crate) fn address(&self) -> SocketAddr {
        self.first
    }

    /// The connections that clients make, counted. All of them fail once `abort` is cancelled.
    pub(crate) fn incoming(
        self,
        figures: ConnectionFigures,
        abort: CancellationToken,
    ) -> impl Stream<Item = io::Result<Connection>> + Send {
        let accepted: SelectAll<_> = self.listeners.into_iter().map(TcpListenerStream::new).collect();
        figures.open_max.set(self.connection_count_max as f64);
        let connections = Arc::new(Semaphore::new(self.connection_count_max));
        unfold((accepted, connections), move |(mut accepted, connections)| {
            let (figures, abort) = (figures.clone(), abort.clone());
            async move {
                loop {
                    if connections.available_permits() == 0 {
                        figures.pauses.increment(1);
                    }
                    let permit = Arc::clone(&connections).acquire_owned().await.ok()?;
                    match accepted.next().await? {
                        Ok(socket) => {
                            let connection = Connection::new(socket, permit, figures.open, abort);
                            return Some((Ok(connection), (accepted, connections)));
                        }
                        Err(error) => {
                            tracing::warn!(%error, "a connection was not accepted");
                            tokio::time::sleep(ACCEPT_PAUSE).await;
                        }
                    }
                }
            }
        })
    }
}

/// A connection that is counted, and that can be cut.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: TcpStream,
    aborted: Pin<Box<WaitForCancellationFutureOwned>>,
    open: Gauge,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    fn new(socket: TcpStream, permit: OwnedSemaphorePermit, open: Gauge, abort: CancellationToken) -> Self {
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "a connection goes on with delayed sending");
        }
        open.increment(1.0);
        Self { socket, aborted: Box::pin(abort.cancelled_owned()), open, _permit: permit }
    }

    /// Its socket, to ask who made it.
    pub(crate) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Also arranges for the task to be woken when the connection is cut.
    fn is_aborted(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.aborted.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionAborted.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.open.decrement(1.0);
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.is_aborted(cx)?;
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.is_aborted(cx)?;
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.is_aborted(cx)?;
        Pin::new(&mut self.socket).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_in_use_is_an_error_that_names_it() {
        let first = bind("gRPC", &["127.0.0.1:0".parse().expect("address")], 1).expect("binds");
        let error = bind("gRPC", &[first.address()], 1).expect_err("in use");
        assert!(matches!(error, ListenError::InUse { address, .. } if address == first.address()));
        assert!(error.to_string().contains(&first.address().to_string()));
    }

    #[tokio::test]
    async fn further_addresses_use_the_port_that_the_first_one_picked() {
        let addresses = ["127.0.0.1:0".parse().expect("address"), "127.0.0.2:0".parse().expect("address")];
        let bound = bind("gRPC", &addresses, 1).expect("binds");
        let ports: Vec<_> =
            bound.listeners.iter().map(|listener| listener.local_addr().expect("bound").port()).collect();
        assert_eq!(ports, [bound.address().port(); 2]);
    }
}
