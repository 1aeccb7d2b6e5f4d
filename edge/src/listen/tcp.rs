//! From a TCP listener to HTTP over TLS.

use super::idle::{Activity, Watched};
use super::pace::STEP_SIZE_MAX;
use super::quota::Slot;
use super::{Client, Respond, Shared, http, tls};
use crate::metrics::HandshakeOutcome;
use crate::serve::{Connection, Protocol};
use socket2::SockRef;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::task::TaskTracker;

/// When accepting fails it is mostly for want of file descriptors, which come back as connections end; trying at once would only
/// burn the processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts until the stop; every connection is a task of its own.
pub(super) async fn accept<R: Respond>(listener: TcpListener, shared: Arc<Shared<R>>, tasks: TaskTracker) {
    let mut stopping = std::pin::pin!(shared.stop.cancelled());
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stopping => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            // At the bound the connection is closed at once; the quotas count that.
            Ok((stream, peer)) => {
                if let Some(slot) = shared.quotas.take(peer.ip()) {
                    tasks.spawn(serve(stream, peer.ip(), slot, Arc::clone(&shared), tasks.clone()));
                }
            }
            Err(error) => {
                tracing::warn!(%error, "accepting a TCP connection failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve<R: Respond>(
    stream: TcpStream,
    peer: IpAddr,
    slot: Arc<Slot>,
    shared: Arc<Shared<R>>,
    tasks: TaskTracker,
) {
    // Responses are written whole; waiting to fill a segment would only delay their end.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    // The kernel then tells of room in steps that a slow client can take in time, and holds less for it.
    if let Err(error) = SockRef::from(&stream).set_tcp_notsent_lowat(2 * STEP_SIZE_MAX) {
        tracing::debug!(%error, "TCP_NOTSENT_LOWAT could not be set");
    }
    let activity = Arc::new(Activity::new(shared.limits.pace()));
    let Some(stream) = handshake(Watched::new(stream, Arc::clone(&activity)), &shared).await else { return };
    let (_, tls) = stream.get_ref();
    let is_http2 = tls.alpn_protocol() == Some(tls::ALPN_HTTP2);
    let connection = Connection {
        protocol: if is_http2 { Protocol::Http2 } else { Protocol::Http1 },
        sni: tls.server_name().map(Arc::from),
        peer: peer.to_canonical(),
    };
    let client = Client { connection, slot };
    if is_http2 {
        http::serve_http2(stream, client, activity, &shared, tasks).await;
    } else {
        http::serve_http1(stream, client, activity, &shared).await;
    }
}

async fn handshake<R: Respond>(
    stream: Watched<TcpStream>,
    shared: &Shared<R>,
) -> Option<TlsStream<Watched<TcpStream>>> {
    let acceptor = TlsAcceptor::from(Arc::clone(&shared.tls));
    let accept =
        acceptor.accept_with(stream, |connection| connection.set_buffer_limit(Some(tls::BUFFER_SIZE_MAX)));
    let accepted = tokio::select! {
        biased;
        accepted = tokio::time::timeout(shared.limits.handshake_time_max, accept) => accepted,
        // Nothing was asked for yet, so nothing is lost.
        () = shared.stop.cancelled() => return None,
    };
    let (outcome, stream) = match accepted {
        Ok(Ok(stream)) => {
            let outcome = match stream.get_ref().1.protocol_version() {
                Some(rustls::ProtocolVersion::TLSv1_2) => HandshakeOutcome::Tls12,
                _ => HandshakeOutcome::Tls13,
            };
            (outcome, Some(stream))
        }
        Ok(Err(error)) => {
            tracing::debug!(%error, "TLS handshake failed");
            (HandshakeOutcome::Failed, None)
        }
        Err(_) => (HandshakeOutcome::TimedOut, None),
    };
    shared.metrics.handshake(outcome);
    stream
}
