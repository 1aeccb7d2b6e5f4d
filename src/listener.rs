//! A small, bounded HTTP/1.1 listener for the program's own pages: figures, probes, and the API's address.
//!
//! Bodies of requests are not read: every connection closes after one that has a body.

use crate::failure::Failure;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body as _;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Connections at once; a Prometheus, a few probes and a person need a handful.
const CONNECTIONS_MAX: usize = 64;

/// Time for the head of a request, and between requests.
const HEAD_TIME_MAX: Duration = Duration::from_secs(30);

/// Time for requests under way at a stop; all answers are in memory.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(2);

/// A pause after the system refused to accept, so that a lack of descriptors does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// An answer, whole in memory.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: &'static str,
    pub(crate) allow: Option<&'static str>,
    pub(crate) body: Bytes,
}

/// A plain text.
pub(crate) fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    Answer { status, content_type: "text/plain; charset=utf-8", allow: None, body: body.into() }
}

/// A bound listener; nothing is accepted yet.
#[derive(Debug)]
pub(crate) struct HttpListener {
    listener: TcpListener,
    address: SocketAddr,
}

/// Binds every address; with port 0 the first one picks a port that the others then use too. A loopback address that this host
/// does not have is skipped when another is bound.
///
/// # Errors
/// Names the address and `what` it is for.
pub(crate) async fn bind(addresses: &[SocketAddr], what: &str) -> Result<Vec<HttpListener>, Failure> {
    let mut bound: Vec<HttpListener> = Vec::with_capacity(addresses.len());
    for &asked in addresses {
        let mut address = asked;
        if let (0, Some(first)) = (address.port(), bound.first()) {
            address.set_port(first.address.port());
        }
        match TcpListener::bind(address).await {
            Ok(listener) => {
                let address = listener.local_addr()?;
                bound.push(HttpListener { listener, address });
            }
            Err(error) if address.ip() == IpAddr::V6(Ipv6Addr::LOCALHOST) && !bound.is_empty() => {
                if error.kind() == std::io::ErrorKind::AddrInUse && asked.port() != 0 {
                    return Err(in_use(address, what));
                }
                tracing::debug!(%address, %error, "skipped an address");
            }
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => return Err(in_use(address, what)),
            Err(error) => return Err(Failure::new(format!("cannot listen on {address} ({what}): {error}"))),
        }
    }
    Ok(bound)
}

fn in_use(address: SocketAddr, what: &str) -> Failure {
    Failure::new(format!("port {} is in use on {} ({what})", address.port(), address.ip()))
}

impl HttpListener {
    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop` is cancelled, then finishes what is under way within a deadline.
    pub(crate) async fn serve<F>(self, answer: F, stop: CancellationToken)
    where
        F: Fn(&Method, &str) -> Answer + Clone + Send + Sync + 'static,
    {
        serve(&self.listener, move |method, path| std::future::ready(answer(method, path)), stop).await;
    }
}

/// Where connections come from.
pub(crate) trait Accept: Sync {
    /// One connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Waits for the next one.
    fn accept(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Accept for TcpListener {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<TcpStream> {
        Ok(Self::accept(self).await?.0)
    }
}

impl Accept for UnixListener {
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<UnixStream> {
        Ok(Self::accept(self).await?.0)
    }
}

/// Answers until `stop` is cancelled, where answers may take a moment.
pub(crate) async fn serve<F, A>(listener: &impl Accept, answer: F, stop: CancellationToken)
where
    F: Fn(&Method, &str) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Answer> + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = async {
            // The semaphore is never closed; the permit ends with the connection.
            let slot = Arc::clone(&slots).acquire_owned().await.ok();
            (listener.accept().await, slot)
        };
        let (accepted, slot) = tokio::select! {
            accepted = accepted => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok(stream) => {
                let (answer, stop) = (answer.clone(), stop.clone());
                connections.spawn(async move {
                    converse(stream, answer, stop).await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection to a page of this program");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    let _ = tokio::time::timeout(DRAIN_TIME_MAX, async { while connections.join_next().await.is_some() {} })
        .await;
}

async fn converse<S, F, A>(stream: S, answer: F, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(&Method, &str) -> A + Send + Sync + 'static,
    A: Future<Output = Answer> + Send + 'static,
{
    let service = service_fn(|request: Request<Incoming>| {
        let answer = answer(request.method(), request.uri().path());
        async move { Ok::<_, Infallible>(respond(&request, answer.await)) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to a page of this program ended early");
    }
}

fn respond(request: &Request<Incoming>, answer: Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(answer.body));
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(allow) = answer.allow {
        headers.insert(header::ALLOW, HeaderValue::from_static(allow));
    }
    if !request.body().is_end_stream() {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
