//! Clients of HTTP/3 that do not mean well, on QUIC connections of the tests' own.

use super::client::connect_quic;
use super::*;
use quinn::{ConnectionError, ReadError, ReadToEndError, TransportConfig, VarInt};
use tokio::net::UdpSocket;

/// RFC 9114 §8.1.
const H3_EXCESSIVE_LOAD: u64 = 0x0107;
const H3_REQUEST_INCOMPLETE: u64 = 0x010d;

/// A control stream with empty SETTINGS (RFC 9114 §6.2.1).
const SETTINGS: &[u8] = &[0, 4, 0];

/// `GET path` in a HEADERS frame: the static table and literals alone (RFC 9204 §4.5).
fn request(path: &str) -> Vec<u8> {
    let literal = |index: u8, value: &str| [&[0x50 | index, value.len() as u8], value.as_bytes()].concat();
    let block = [&[0, 0, 0xd1, 0xd7][..], &literal(1, path), &literal(0, "localhost")].concat();
    [&[1, block.len() as u8], &block[..]].concat()
}

/// A frame of a type that nobody knows (RFC 9114 §7.2.8), without content.
const UNKNOWN: &[u8] = &[0x21, 0];

async fn quic(server: &Server, transport: TransportConfig) -> (quinn::Endpoint, quinn::Connection) {
    connect_quic(server.address, &server.authority, transport).await.expect("connects")
}

/// How the server ends a connection.
async fn code_of_the_end(connection: &quinn::Connection) -> u64 {
    let error = tokio::time::timeout(NEVER, connection.closed()).await.expect("in time");
    let ConnectionError::ApplicationClosed(close) = error else { panic!("{error}") };
    close.error_code.into_inner()
}

fn cut_offs(server: &Server, reason: &str) -> String {
    server.figure(&format!("skerry_edge_cut_offs_total{{edge=\"test\",reason=\"{reason}\"}}"))
}

/// Little credit, so that a flood is short.
fn little_credit() -> ListenLimits {
    ListenLimits { frame_credit_max: 160, ..ListenLimits::default() }
}

#[tokio::test]
async fn floods_of_frames_are_cut_off_on_every_kind_of_stream() {
    let many = 1000;
    // The longest number there is (RFC 9000 §16), as the length of what is never sent.
    let endless = [&[0x21][..], &[0xff; 8]].concat();
    let floods: [(&str, bool, Vec<u8>); 6] = [
        ("frames without meaning", true, [&request("/small"), &UNKNOWN.repeat(many)[..]].concat()),
        ("empty DATA", true, [&request("/small"), &[0, 0].repeat(many)[..]].concat()),
        ("a frame without end on a request", true, endless.clone()),
        ("frames without meaning on the control stream", false, [SETTINGS, &UNKNOWN.repeat(many)].concat()),
        ("MAX_PUSH_ID", false, [SETTINGS, &[0x0d, 1, 1].repeat(many)].concat()),
        ("a frame without end on the control stream", false, [SETTINGS, &endless].concat()),
    ];
    let server = Server::start(little_credit(), NEVER, WRITTEN_SIZE);
    for (number, (what, is_request, bytes)) in floods.into_iter().enumerate() {
        let (_endpoint, connection) = quic(&server, TransportConfig::default()).await;
        let (mut stream, _answer) = match is_request {
            true => connection.open_bi().await.map(|(send, receive)| (send, Some(receive))).expect("opens"),
            false => (connection.open_uni().await.expect("opens"), None),
        };
        // Whether all is taken is not promised.
        let _ = stream.write_all(&bytes).await;
        assert_eq!(code_of_the_end(&connection).await, H3_EXCESSIVE_LOAD, "{what}");
        assert_eq!(cut_offs(&server, "flood"), (number + 1).to_string(), "{what}");
    }
    server.stopped().await;
}

/// h3 takes an empty DATA frame for the end.
#[tokio::test]
async fn content_goes_on_after_an_empty_frame() {
    let server = Server::with_defaults();
    let (_endpoint, connection) = quic(&server, TransportConfig::default()).await;
    let mut control = connection.open_uni().await.expect("opens");
    control.write_all(SETTINGS).await.expect("sends");
    // The static table's POST (RFC 9204, appendix A).
    let post =
        request("/posted").iter().map(|byte| if *byte == 0xd1 { 0xd4 } else { *byte }).collect::<Vec<_>>();
    for content in [
        &[0, 0, 0, 2, b'a', b'b', 0, 0, 0, 1, b'c'][..],
        &[0, 3, b'a', b'b', b'c', 0, 0],
        &[0, 3, b'a', b'b', b'c'],
    ] {
        for piece_size in [1, 1000] {
            let (mut send, mut receive) = connection.open_bi().await.expect("opens");
            for piece in [&post[..], content].concat().chunks(piece_size) {
                send.write_all(piece).await.expect("sends");
                tokio::task::yield_now().await;
            }
            send.finish().expect("open");
            let answer = receive.read_to_end(1000).await.expect("whole");
            assert!(answer.ends_with(b"abc"), "{content:?}: {answer:?}");
        }
    }
    server.stopped().await;
}

#[tokio::test]
async fn a_flood_of_streams_without_meaning_is_cut_off() {
    let server = Server::start(little_credit(), NEVER, WRITTEN_SIZE);
    let (_endpoint, connection) = quic(&server, TransportConfig::default()).await;
    while let Ok(mut stream) = connection.open_uni().await {
        let _ = stream.write_all(&[0x21]).await;
    }
    assert_eq!(code_of_the_end(&connection).await, H3_EXCESSIVE_LOAD);
    assert_eq!(cut_offs(&server, "flood"), "1");
    server.stopped().await;
}

#[tokio::test]
async fn a_flood_of_pings_is_cut_off() {
    let server = Server::start(little_credit(), NEVER, WRITTEN_SIZE);
    let mut transport = TransportConfig::default();
    transport.keep_alive_interval(Some(Duration::from_millis(1)));
    let (_endpoint, connection) = quic(&server, transport).await;
    assert_eq!(code_of_the_end(&connection).await, H3_EXCESSIVE_LOAD);
    assert_eq!(cut_offs(&server, "flood"), "1");
    server.stopped().await;
}

#[tokio::test]
async fn a_client_that_takes_back_its_requests_is_cut_off() {
    let server = Server::start(little_credit(), NEVER, WRITTEN_SIZE);
    let (_endpoint, connection) = quic(&server, TransportConfig::default()).await;
    while let Ok((mut send, mut receive)) = connection.open_bi().await {
        // A part of a head, taken back.
        let _ = send.write_all(&[1, 20, 0]).await;
        let _ = send.reset(0x010c_u32.into());
        let _ = receive.stop(0x010c_u32.into());
    }
    assert_eq!(code_of_the_end(&connection).await, H3_EXCESSIVE_LOAD);
    assert_eq!(cut_offs(&server, "flood"), "1");
    server.stopped().await;
}

#[tokio::test]
async fn a_long_download_pays_for_its_acknowledgements_and_windows() {
    let server = Server::start(little_credit(), NEVER, WRITTEN_SIZE);
    let mut client = server.client(Protocol::Http3).await.expect("connects");
    for _ in 0..4 {
        assert!(client.get("/large").await.expect("answers").all().await.expect("whole") == large());
    }
    assert_eq!(cut_offs(&server, "flood"), "0");
    server.stopped().await;
}

/// What h3 would gather before it says that it is too large is answered before it comes.
#[tokio::test]
async fn a_head_that_is_far_too_large_is_answered_at_once() {
    let server = Server::with_defaults();
    let (_endpoint, connection) = quic(&server, TransportConfig::default()).await;
    let mut control = connection.open_uni().await.expect("opens");
    control.write_all(SETTINGS).await.expect("sends");
    let (mut send, mut receive) = connection.open_bi().await.expect("opens");
    // HEADERS of 1 GiB, of which only this comes.
    send.write_all(&[1, 0xc0, 0, 0, 0, 0x40, 0, 0, 0]).await.expect("sends");
    let answer = receive.read_to_end(1000).await.expect("whole");
    assert!(answer.starts_with(&[1, 8, 0, 0, 0x5f, 9, 3]) && answer.ends_with(b"431"), "{answer:?}");
    assert_eq!(cut_offs(&server, "head_too_large"), "1");
    // The connection goes on.
    let (mut send, mut receive) = connection.open_bi().await.expect("opens");
    send.write_all(&request("/small")).await.expect("sends");
    send.finish().expect("open");
    let answer = receive.read_to_end(1000).await.expect("whole");
    assert!(answer.windows(SMALL.len()).any(|window| window == SMALL));
    server.stopped().await;
}

#[tokio::test]
async fn a_head_that_does_not_come_to_its_end_is_given_up() {
    let limits = ListenLimits { head_time_max: SOON, idle_time_max: NEVER, ..ListenLimits::default() };
    let server = Server::start(limits, NEVER, WRITTEN_SIZE);
    let (_endpoint, connection) = quic(&server, TransportConfig::default()).await;
    let (mut send, mut receive) = connection.open_bi().await.expect("opens");
    send.write_all(&request("/small")[..10]).await.expect("sends");
    let end = receive.read_to_end(1000).await.expect_err("no answer");
    let ReadToEndError::Read(ReadError::Reset(code)) = end else { panic!("{end}") };
    assert_eq!(code.into_inner(), H3_REQUEST_INCOMPLETE);
    assert_eq!(cut_offs(&server, "head_timeout"), "1");
    server.stopped().await;
}

/// Gives each stream as much room as the server's control stream begins with.
async fn with_room_for_settings_alone(connection: &quinn::Connection) -> TransportConfig {
    let mut control = connection.accept_uni().await.expect("a control stream");
    let settings = control.read_chunk(1000, true).await.expect("open").expect("SETTINGS");
    let mut transport = TransportConfig::default();
    transport.stream_receive_window(VarInt::from_u32(settings.bytes.len() as u32));
    transport
}

/// The head of a response needs room like anything else.
#[tokio::test]
async fn a_client_without_room_for_an_answer_is_slow() {
    let limits = ListenLimits { rate_time_max: SOON, idle_time_max: NEVER, ..ListenLimits::default() };
    let server = Server::start(limits, NEVER, WRITTEN_SIZE);
    let (_endpoint, connection) = quic(&server, TransportConfig::default()).await;
    let transport = with_room_for_settings_alone(&connection).await;
    let (_endpoint, connection) = quic(&server, transport).await;
    let (mut send, mut receive) = connection.open_bi().await.expect("opens");
    send.write_all(&request("/small")).await.expect("sends");
    send.finish().expect("open");
    // Nothing is read before the server has given up.
    assert!(receive.received_reset().await.expect("a reset").is_some());
    assert_eq!(cut_offs(&server, "slow"), "1");
    server.stopped().await;
}

/// GOAWAY cannot be sent to a client that gives the control stream no room for it.
#[tokio::test]
async fn an_idle_client_without_room_for_a_goodbye_is_closed_all_the_same() {
    let limits = ListenLimits { idle_time_max: SOON, ..ListenLimits::default() };
    let server = Server::start(limits, NEVER, WRITTEN_SIZE);
    let (_endpoint, connection) = quic(&server, TransportConfig::default()).await;
    let transport = with_room_for_settings_alone(&connection).await;
    connection.closed().await;
    let (_endpoint, connection) = quic(&server, transport).await;
    let error = tokio::time::timeout(NEVER, connection.closed()).await.expect("in time");
    assert!(matches!(error, ConnectionError::ApplicationClosed(_)), "{error}");
    assert_eq!(server.figure("skerry_edge_idle_closes_total"), "2");
    server.stopped().await;
}

/// RFC 9001 §8.1: no_application_protocol, as an error of QUIC.
#[tokio::test]
async fn a_protocol_that_is_not_http3_is_refused_with_its_alert() {
    const NO_APPLICATION_PROTOCOL: u64 = 0x0100 + 120;
    let server = Server::with_defaults();
    let tls = tls(&server.authority, b"smtp", &[&rustls::version::TLS13]);
    let tls = quinn::crypto::rustls::QuicClientConfig::try_from(tls).expect("TLS 1.3");
    let endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().expect("an address")).expect("binds");
    let config = quinn::ClientConfig::new(Arc::new(tls));
    let connecting = endpoint.connect_with(config, server.address, "localhost").expect("a name");
    let error = connecting.await.expect_err("refused");
    let ConnectionError::ConnectionClosed(close) = error else { panic!("{error}") };
    assert_eq!(u64::from(close.error_code), NO_APPLICATION_PROTOCOL);
    server.stopped().await;
}

/// A relay that shows what passes: the first datagram of a client reaches the server, and what comes back is counted.
struct Relay {
    socket: UdpSocket,
    server: SocketAddr,
    /// What the client has sent.
    sent: usize,
    /// Tries to connect until it is dropped.
    client: tokio::task::JoinHandle<bool>,
}

impl Relay {
    async fn with_first_datagram(server: &Server) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("binds");
        let relay_address = socket.local_addr().expect("bound");
        let authority = server.authority.clone();
        let connect =
            async move { Client::connect(relay_address, &authority, Protocol::Http3).await.is_err() };
        let client = tokio::spawn(connect);
        let mut datagram = [0; 2048];
        let (sent, _) = socket.recv_from(&mut datagram).await.expect("a client");
        socket.send_to(&datagram[..sent], server.address).await.expect("sends");
        Self { socket, server: server.address, sent, client }
    }

    /// The next datagram of the server.
    async fn receive(&self) -> Vec<u8> {
        let mut datagram = [0; 2048];
        loop {
            let (size, from) = self.socket.recv_from(&mut datagram).await.expect("a datagram");
            if from == self.server {
                return datagram[..size].to_vec();
            }
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.client.abort();
    }
}

/// RFC 9000 §8: three times what an unproven address has sent, whoever's it is.
#[tokio::test]
async fn an_unproven_address_is_sent_no_more_than_three_times_what_it_sent() {
    let limits = ListenLimits { handshake_time_max: 10 * SOON, ..ListenLimits::default() };
    let server = Server::start(limits, NEVER, WRITTEN_SIZE);
    // The first flight alone gets through, and nothing that comes back does.
    let relay = Relay::with_first_datagram(&server).await;
    // A handshake that begins later, of which nothing comes, is given up later.
    let mut later = TcpStream::connect(server.address).await.expect("connects");
    let mut received = 0;
    let count = async {
        loop {
            received += relay.receive().await.len();
        }
    };
    tokio::select! {
        () = count => {}
        ended = later.read_u8() => assert!(ended.is_err(), "nothing is said"),
    }
    assert!(received > 0 && received <= 3 * relay.sent, "{received} for {}", relay.sent);
    server.stopped().await;
}

/// RFC 9000 §17.2: the kind of a packet with a long header.
fn is_retry(packet: &[u8]) -> bool {
    packet.first().is_some_and(|first| first & 0xf0 == 0xf0)
}

#[tokio::test]
async fn strangers_are_asked_to_prove_their_address_when_slots_are_scarce_and_not_before() {
    for (connected, expected) in [(0, false), (1, false), (2, true)] {
        let server = Server::start(connections(3), NEVER, WRITTEN_SIZE);
        let mut clients = Vec::new();
        for _ in 0..connected {
            clients.push(quic(&server, TransportConfig::default()).await);
        }
        let relay = Relay::with_first_datagram(&server).await;
        assert_eq!(is_retry(&relay.receive().await), expected, "with {connected} connections");
        drop(relay);
        server.stopped().await;
    }
}

#[tokio::test]
async fn datagrams_of_no_sense_are_ignored() {
    let server = Server::with_defaults();
    let mut client = server.client(Protocol::Http3).await.expect("connects");
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("binds");
    for index in 0..2000_usize {
        let size = index % 1300;
        let byte = |position: usize| (position.wrapping_mul(index + 7) ^ (index >> 3)) as u8;
        let garbage: Vec<u8> = (0..size).map(byte).collect();
        // The kernel may drop some; most arrive.
        let _ = socket.send_to(&garbage, server.address).await;
    }
    assert_eq!(client.get("/small").await.expect("answers").all().await.expect("whole"), SMALL);
    assert_eq!(server.figure("skerry_edge_connections{"), "1");
    server.stopped().await;
}

/// A literal field line (RFC 9204 §4.5.6).
fn field(name: &str, value: &str) -> Vec<u8> {
    let name_size = u8::try_from(name.len()).expect("short");
    let head = if name_size < 7 { vec![0x20 | name_size] } else { vec![0x27, name_size - 7] };
    [&head[..], name.as_bytes(), &[value.len() as u8], value.as_bytes()].concat()
}

#[tokio::test]
async fn malformed_requests_are_reset() {
    /// RFC 9114 §8.1.
    const H3_MESSAGE_ERROR: u64 = 0x010e;
    const GET: &[u8] = &[0xd1];
    const POST: &[u8] = &[0xd4];
    const HTTPS: &[u8] = &[0xd7];
    // `/posted` and `localhost` by their names in the static table.
    let path = [&[0x51, 7][..], b"/posted"].concat();
    let authority = [&[0x50, 9][..], b"localhost"].concat();
    let send = |lines: &[&[u8]], content: &[u8]| {
        let block = [&[0, 0][..], &lines.concat()].concat();
        let data =
            if content.is_empty() { Vec::new() } else { [&[0, content.len() as u8], content].concat() };
        let size = 0x4000 | block.len() as u16;
        [&[1][..], &size.to_be_bytes(), &block, &data].concat()
    };
    let with = |line: &[u8]| send(&[GET, HTTPS, &path, &authority, line], b"");
    let posted =
        |lines: &[&[u8]], content: &[u8]| send(&[&[POST, HTTPS, &path, &authority], lines].concat(), content);
    let cases: [(&str, Vec<u8>); 15] = [
        ("transfer-encoding", with(&field("transfer-encoding", "chunked"))),
        ("connection", with(&field("connection", "close"))),
        ("keep-alive", with(&field("keep-alive", "5"))),
        ("proxy-connection", with(&field("proxy-connection", "close"))),
        ("upgrade", with(&field("upgrade", "websocket"))),
        ("te: gzip", with(&field("te", "gzip"))),
        (
            "a pseudo-header field after a field",
            send(&[GET, HTTPS, &field("a", "b"), &path, &authority], b""),
        ),
        ("a path again", with(&field(":path", "/small"))),
        ("an authority again", with(&authority)),
        ("a status", with(&field(":status", "200"))),
        ("content shorter than its length", posted(&[&field("content-length", "4")], b"abc")),
        ("content longer than its length", posted(&[&field("content-length", "2")], b"abc")),
        ("two lengths", posted(&[&field("content-length", "3"), &field("content-length", "4")], b"abc")),
        ("a length with a sign", posted(&[&field("content-length", "+3")], b"abc")),
        ("no length of the content that a length announced", posted(&[&field("content-length", "3")], b"")),
    ];
    let server = Server::with_defaults();
    let (_endpoint, connection) = quic(&server, TransportConfig::default()).await;
    let mut control = connection.open_uni().await.expect("opens");
    control.write_all(SETTINGS).await.expect("sends");
    let count = cases.len();
    for (what, bytes) in cases {
        for piece_size in [1, 1000] {
            let (mut send, mut receive) = connection.open_bi().await.expect("opens");
            for piece in bytes.chunks(piece_size) {
                send.write_all(piece).await.expect("sends");
            }
            let _ = send.finish();
            let answer = receive.read_to_end(1000).await;
            let Err(ReadToEndError::Read(ReadError::Reset(code))) = answer else {
                panic!("{what} in pieces of {piece_size}: {answer:?}")
            };
            assert_eq!(code.into_inner(), H3_MESSAGE_ERROR, "{what}");
        }
    }
    assert_eq!(cut_offs(&server, "malformed"), (2 * count).to_string());
    // The same without a fault, on the same connection.
    for bytes in [
        with(&field("te", "trailers")),
        posted(&[&field("content-length", "3"), &field("content-length", "3")], b"abc"),
    ] {
        let (mut send, mut receive) = connection.open_bi().await.expect("opens");
        send.write_all(&bytes).await.expect("sends");
        send.finish().expect("open");
        receive.read_to_end(1000).await.expect("whole");
    }
    server.stopped().await;
}
