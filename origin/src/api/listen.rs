//! Connections of the API: HTTP/1.1, with TLS where a certificate is configured.

use super::{Api, router};
use crate::config::ApiCertificate;
use crate::sockets::{BoundSockets, Connection};
use axum::Router;
use axum::body::Body;
use futures_util::StreamExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower_service::Service;

/// Time for a TLS handshake, and for the head of a request.
const HEAD_TIME_MAX: Duration = Duration::from_secs(10);

/// The certificate of the API, or its key, cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the certificate of the API cannot be used with its key")]
pub struct ApiError(#[from] rustls::Error);

/// Over what a request came: among its extensions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Connected {
    pub(crate) address: SocketAddr,
    pub(crate) is_tls: bool,
}

/// TLS 1.2 and 1.3 with a certificate. Twilio's clients speak HTTP/1.1 only.
///
/// # Errors
/// [`ApiError`].
pub(crate) fn acceptor(certificate: &ApiCertificate) -> Result<TlsAcceptor, ApiError> {
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(certificate.chain.clone(), certificate.key.clone_key())?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Serves until `stopping` is cancelled; its connections are among the tasks of `api`, and are cut when `abort` is cancelled.
/// Without sockets, it does nothing until then.
pub(crate) async fn serve(
    api: Api,
    console: Router,
    sockets: Option<BoundSockets>,
    acceptor: Option<TlsAcceptor>,
    stopping: CancellationToken,
    abort: CancellationToken,
) {
    let Some(sockets) = sockets else { return stopping.cancelled().await };
    api.metrics.api_form_size_max.set(api.bounds.form_size_max as f64);
    let mut incoming = std::pin::pin!(sockets.incoming(api.metrics.api_connections.clone(), abort));
    let router = router(api.clone(), console);
    loop {
        let connection = tokio::select! {
            connection = incoming.next() => connection,
            () = stopping.cancelled() => return,
        };
        if let Some(Ok(connection)) = connection {
            let connected = connected(&connection, acceptor.is_some());
            let (router, acceptor, stopping) = (router.clone(), acceptor.clone(), stopping.clone());
            api.tasks.spawn(async move {
                match acceptor {
                    None => converse(connection, connected, router, &stopping).await,
                    Some(acceptor) => {
                        let handshake = tokio::time::timeout(HEAD_TIME_MAX, acceptor.accept(connection));
                        if let Ok(Ok(stream)) = handshake.await {
                            converse(stream, connected, router, &stopping).await;
                        }
                    }
                }
            });
        }
    }
}

fn connected(connection: &Connection, is_tls: bool) -> Connected {
    let gone = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
    Connected { address: connection.socket().peer_addr().unwrap_or(gone), is_tls }
}

/// Answers the requests of one connection.
async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send,
    connected: Connected,
    router: Router,
    stopping: &CancellationToken,
) {
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(connected);
        // A router is always ready.
        router.clone().call(request.map(Body::new))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection of the API ended early");
    }
}
