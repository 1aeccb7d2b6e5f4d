//! The listeners over real sockets, with real clients and a site of the tests' own.

mod client;
mod hostile;
mod hostile_quic;
mod site;

use super::*;
use crate::config::{
    CacheConfig, FillLimits, GiveConfig, QuotaLimits, ServeConfig, ServerIdentity, TierConfig,
};
use crate::serve::Protocol;
use ::http::{Method, StatusCode};
use bytes::Bytes;
use client::{Client, Fault, PROTOCOLS, connect_tls, tls};
use rustls::pki_types::CertificateDer;
use site::{Broken, FRAME_SIZE, HUGE_FRAMES, LARGE_SIZE, SMALL, TestSite, large};
use skerry_proto::authority::Authority;
use std::time::SystemTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

const WORKER_COUNT: usize = 3;

/// What `/written` says it has: three frames.
const WRITTEN_SIZE: usize = 3 * FRAME_SIZE;

/// Long enough never to be reached in a test that works.
const NEVER: Duration = Duration::from_secs(60);

/// Short enough to wait for.
const SOON: Duration = Duration::from_millis(50);

/// Listeners that serve the site of the tests.
struct Server {
    address: SocketAddr,
    authority: CertificateDer<'static>,
    metrics: Arc<Metrics>,
    listeners: Listeners,
    stop: CancellationToken,
    written: UnboundedSender<Result<Bytes, Broken>>,
    endings: UnboundedReceiver<()>,
}

impl Server {
    fn start(limits: ListenLimits, drain_time_max: Duration, written_size: usize) -> Self {
        let authority = Authority::generate("test", SystemTime::now()).expect("randomness");
        let authority = Authority::new(&authority).expect("own authority");
        let names = ["localhost".to_owned()];
        let identity = authority.issue_server(&names, SystemTime::now(), NEVER).expect("issues");
        let config = EdgeConfig {
            name: "test".into(),
            https_addresses: vec!["127.0.0.1:0".parse().expect("an address")],
            identity: Arc::new(ServerIdentity {
                chain: vec![identity.certificate.clone()],
                key: identity.private_key(),
            }),
            public_port: None,
            fallback_domain: None,
            worker_count: WORKER_COUNT,
            cache: CacheConfig::default(),
            fills: FillLimits::default(),
            tiers: TierConfig::default(),
            give: GiveConfig::default(),
            ready: crate::config::ReadyConfig::default(),
            documents_size_max: 1 << 30,
            limits,
            lease: NEVER,
            serve: ServeConfig::default(),
            secrets_on_disk: false,
            drain_time_max,
        };
        let metrics = Arc::new(Metrics::new("test").expect("buckets"));
        let bound = BoundListeners::bind(&config, Arc::clone(&metrics)).expect("binds");
        let address = bound.address();
        let stop = CancellationToken::new();
        let (site, written, endings) = TestSite::new(written_size);
        let listeners = bound.serve_with(Arc::new(site), &stop).expect("starts");
        let authority = authority.certificate().clone();
        Self { address, authority, metrics, listeners, stop, written, endings }
    }

    fn with_defaults() -> Self {
        Self::start(ListenLimits::default(), NEVER, WRITTEN_SIZE)
    }

    async fn client(&self, protocol: Protocol) -> Result<Client, Fault> {
        Client::connect(self.address, &self.authority, protocol).await
    }

    /// A frame of `/written`.
    fn write(&self) {
        self.written.send(Ok(Bytes::from_static(&[9; FRAME_SIZE]))).expect("still asked for");
    }

    /// The value of one series.
    fn figure(&self, series: &str) -> String {
        let figures = self.metrics.handle().render();
        let line = figures.lines().find(|line| line.starts_with(series)).expect("a series");
        line.rsplit(' ').next().expect("a value").to_owned()
    }

    async fn stopped(self) {
        self.stop.cancel();
        self.listeners.stopped().await;
    }
}

#[tokio::test]
async fn every_protocol_answers_with_the_bytes_and_their_number() {
    let server = Server::with_defaults();
    for protocol in PROTOCOLS {
        let mut client = server.client(protocol).await.expect("connects");
        for (path, body) in [("/small", Bytes::from_static(SMALL)), ("/large", large())] {
            let answer = client.get(path).await.expect("answers");
            let headers = answer.head.headers().clone();
            assert_eq!(headers["protocol"], format!("{protocol:?}"));
            assert_eq!(headers["content-length"], body.len().to_string());
            assert!(headers.contains_key("date"), "{protocol:?}");
            assert!(answer.all().await.expect("whole") == body, "{protocol:?} {path}");
        }
    }
    assert_eq!(server.figure("skerry_edge_handshakes_total{edge=\"test\",outcome=\"quic\"}"), "1");
    assert_eq!(server.figure("skerry_edge_handshakes_total{edge=\"test\",outcome=\"tls13\"}"), "2");
    server.stopped().await;
}

#[tokio::test]
async fn an_empty_body_and_a_head_end_at_once() {
    let server = Server::with_defaults();
    for protocol in PROTOCOLS {
        let mut client = server.client(protocol).await.expect("connects");
        for method in [Method::GET, Method::HEAD] {
            let answer = client.request(method, "/none", Bytes::new()).await.expect("answers");
            assert_eq!(answer.head.status(), StatusCode::NOT_FOUND);
            assert_eq!(answer.all().await.expect("whole"), b"");
        }
    }
    server.stopped().await;
}

#[tokio::test]
async fn a_request_with_a_body_is_answered() {
    let server = Server::with_defaults();
    for protocol in PROTOCOLS {
        for size in [1, 10_000] {
            let mut client = server.client(protocol).await.expect("connects");
            let body = Bytes::from(vec![b'x'; size]);
            let answer = client.request(Method::POST, "/small", body).await.expect("answers");
            assert_eq!(answer.all().await.expect("whole"), SMALL, "{protocol:?}");
        }
    }
    server.stopped().await;
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error_for_the_client() {
    let server = Server::with_defaults();
    for protocol in PROTOCOLS {
        let mut client = server.client(protocol).await.expect("connects");
        let read = match client.get("/broken").await {
            Ok(answer) => answer.all().await,
            Err(error) => Err(error),
        };
        assert!(read.is_err(), "{protocol:?}");
        // Where requests share a connection, the others go on.
        if protocol != Protocol::Http1 {
            let answer = client.get("/small").await.expect("answers");
            assert_eq!(answer.all().await.expect("whole"), SMALL);
        }
    }
    server.stopped().await;
}

#[tokio::test]
async fn many_requests_share_a_connection() {
    let server = Server::with_defaults();
    for protocol in PROTOCOLS {
        let mut client = server.client(protocol).await.expect("connects");
        for _ in 0..300 {
            assert_eq!(client.get("/small").await.expect("answers").all().await.expect("whole"), SMALL);
        }
    }
    server.stopped().await;
}

#[tokio::test]
async fn a_stop_finishes_the_response_under_way_and_refuses_new_connections() {
    for protocol in PROTOCOLS {
        let server = Server::with_defaults();
        let mut client = server.client(protocol).await.expect("connects");
        server.write();
        let mut answer = client.get("/written").await.expect("answers");
        let first = answer.read(FRAME_SIZE).await.expect("the first frame");
        server.stop.cancel();
        // The listening sockets are closed as soon as the workers have seen the stop.
        while TcpStream::connect(server.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        assert!(server.client(Protocol::Http3).await.is_err());
        server.write();
        server.write();
        let rest = answer.all().await.expect("whole");
        assert_eq!(first.len() + rest.len(), WRITTEN_SIZE, "{protocol:?}");
        client.closed().await;
        server.stopped().await;
    }
}

#[tokio::test]
async fn a_stop_ends_idle_connections_at_once() {
    let server = Server::with_defaults();
    let mut clients = Vec::new();
    for protocol in PROTOCOLS {
        let mut client = server.client(protocol).await.expect("connects");
        client.get("/small").await.expect("answers").all().await.expect("whole");
        clients.push(client);
    }
    server.stopped().await;
    for client in clients {
        client.closed().await;
    }
}

#[tokio::test]
async fn a_stop_waits_for_a_response_no_longer_than_the_drain() {
    for protocol in PROTOCOLS {
        let server = Server::start(ListenLimits::default(), SOON, WRITTEN_SIZE);
        let mut client = server.client(protocol).await.expect("connects");
        server.write();
        let mut answer = client.get("/written").await.expect("answers");
        answer.read(FRAME_SIZE).await.expect("the first frame");
        // Its other frames never come.
        server.stop.cancel();
        server.listeners.stopped().await;
        assert!(answer.all().await.is_err(), "{protocol:?}");
    }
}

/// A bound on connections.
fn connections(connection_count_max: u64) -> ListenLimits {
    let limits = ListenLimits::default();
    ListenLimits { all: QuotaLimits { connection_count_max, ..limits.all }, ..limits }
}

#[tokio::test]
async fn the_bound_on_connections_refuses_the_next() {
    let limits = connections(1);
    for protocol in PROTOCOLS {
        let server = Server::start(limits, NEVER, WRITTEN_SIZE);
        let mut client = server.client(protocol).await.expect("connects");
        client.get("/small").await.expect("answers").all().await.expect("whole");
        for refused in PROTOCOLS {
            assert!(server.client(refused).await.is_err(), "{protocol:?} {refused:?}");
        }
        assert_eq!(server.figure("skerry_edge_connections_refused_total"), "3");
        assert_eq!(server.figure("skerry_edge_connections{"), "1");
        assert_eq!(server.figure("skerry_edge_connections_max"), "1");
        server.stopped().await;
    }
}

#[tokio::test]
async fn a_quic_client_proves_its_address_when_slots_are_scarce() {
    let limits = connections(3);
    let server = Server::start(limits, NEVER, WRITTEN_SIZE);
    let mut clients = Vec::new();
    for _ in 0..3 {
        // The third is sent away once, and comes back with the token of its address: to any worker, as they share its key.
        let mut client = server.client(Protocol::Http3).await.expect("connects");
        assert_eq!(client.get("/small").await.expect("answers").all().await.expect("whole"), SMALL);
        clients.push(client);
    }
    server.stopped().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let limits = ListenLimits { idle_time_max: SOON, ..ListenLimits::default() };
    let server = Server::start(limits, NEVER, WRITTEN_SIZE);
    for protocol in PROTOCOLS {
        let mut client = server.client(protocol).await.expect("connects");
        client.get("/small").await.expect("answers").all().await.expect("whole");
        client.closed().await;
    }
    server.stopped().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_dropped() {
    let limits = ListenLimits { idle_time_max: SOON, ..ListenLimits::default() };
    let mut server = Server::start(limits, NEVER, WRITTEN_SIZE);
    let config = tls(&server.authority, b"http/1.1", rustls::DEFAULT_VERSIONS);
    let mut stream = connect_tls(server.address, config).await.expect("connects");
    stream.write_all(b"GET /huge HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("sends");
    server.endings.recv().await.expect("the response ends");
    drop(stream);
    server.stopped().await;
}

#[tokio::test]
async fn a_head_that_is_not_completed_in_time_ends_the_connection() {
    let limits = ListenLimits { head_time_max: SOON, idle_time_max: NEVER, ..ListenLimits::default() };
    let server = Server::start(limits, NEVER, WRITTEN_SIZE);
    let config = tls(&server.authority, b"http/1.1", rustls::DEFAULT_VERSIONS);
    let mut stream = connect_tls(server.address, config).await.expect("connects");
    stream.write_all(b"GET /small HTTP/1.1\r\nhost: loc").await.expect("sends");
    let mut received = Vec::new();
    // Whether the end is clean is not promised.
    let _ = stream.read_to_end(&mut received).await;
    assert_eq!(received, b"");
    server.stopped().await;
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_given_up() {
    let limits = ListenLimits { handshake_time_max: SOON, ..ListenLimits::default() };
    let server = Server::start(limits, NEVER, WRITTEN_SIZE);
    let mut stream = TcpStream::connect(server.address).await.expect("connects");
    assert_eq!(stream.read(&mut [0; 16]).await.expect("closed"), 0);
    let metrics = Arc::clone(&server.metrics);
    server.stopped().await;
    let figures = metrics.handle().render();
    assert!(figures.contains("outcome=\"timed_out\"} 1\n"), "{figures}");
}

#[tokio::test]
async fn tls_1_2_is_served_and_an_unknown_protocol_is_not() {
    let server = Server::with_defaults();
    let config = tls(&server.authority, b"h2", &[&rustls::version::TLS12]);
    let stream = connect_tls(server.address, config).await.expect("connects");
    let suite = stream.get_ref().1.negotiated_cipher_suite().expect("agreed").suite();
    assert_eq!(suite, rustls::CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256);
    // RFC 7301 §3.2.
    let config = tls(&server.authority, b"smtp", rustls::DEFAULT_VERSIONS);
    let error = connect_tls(server.address, config).await.expect_err("no overlap").to_string();
    assert!(error.contains("NoApplicationProtocol"), "{error}");
    server.stopped().await;
}

/// draft-ietf-tls-ecdhe-mlkem: what is recorded today is not to be read by a quantum computer of tomorrow.
#[tokio::test]
async fn a_client_that_takes_a_post_quantum_group_alone_is_served() {
    let server = Server::with_defaults();
    let mut config = tls(&server.authority, b"h2", rustls::DEFAULT_VERSIONS);
    let mut provider = rustls::crypto::CryptoProvider::clone(config.crypto_provider());
    provider.kx_groups.retain(|group| group.name() == rustls::NamedGroup::X25519MLKEM768);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(server.authority.clone()).expect("a certificate");
    config = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("known")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = connect_tls(server.address, config).await.expect("connects");
    let group = stream.get_ref().1.negotiated_key_exchange_group().expect("agreed").name();
    assert_eq!(group, rustls::NamedGroup::X25519MLKEM768);
    server.stopped().await;
}

#[tokio::test]
async fn a_quic_client_that_changes_its_port_goes_on() {
    const MOVE_COUNT: usize = 12;
    let server = Server::start(ListenLimits::default(), NEVER, (MOVE_COUNT + 1) * FRAME_SIZE);
    let mut client = server.client(Protocol::Http3).await.expect("connects");
    server.write();
    let mut answer = client.get("/written").await.expect("answers");
    let mut size = answer.read(FRAME_SIZE).await.expect("the first frame").len();
    for _ in 0..MOVE_COUNT {
        // A hash of the addresses would lead some of these ports to other workers.
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("binds");
        client.endpoint.as_ref().expect("QUIC").rebind(socket).expect("rebinds");
        server.write();
        size += answer.read(FRAME_SIZE).await.expect("the next frame").len();
    }
    assert_eq!(size, (MOVE_COUNT + 1) * FRAME_SIZE);
    assert_eq!(answer.all().await.expect("the end"), b"");
    server.stopped().await;
}

#[tokio::test]
async fn a_large_download_survives_a_change_of_port() {
    let server = Server::with_defaults();
    let mut client = server.client(Protocol::Http3).await.expect("connects");
    let mut answer = client.get("/large").await.expect("answers");
    let mut bytes = answer.read(1).await.expect("some bytes");
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("binds");
    client.endpoint.as_ref().expect("QUIC").rebind(socket).expect("rebinds");
    bytes.extend(answer.read(LARGE_SIZE).await.expect("the rest"));
    assert!(bytes == large());
    server.stopped().await;
}
