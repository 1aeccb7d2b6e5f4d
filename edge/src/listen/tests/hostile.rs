//! Clients that do not mean well, where a site of the tests' own shows best what becomes of them.

use super::*;
use tokio_rustls::client::TlsStream;

/// A connection for raw HTTP/1.1.
async fn raw(server: &Server) -> TlsStream<TcpStream> {
    let config = tls(&server.authority, b"http/1.1", rustls::DEFAULT_VERSIONS);
    connect_tls(server.address, config).await.expect("connects")
}

/// All that comes until the server ends the connection with close_notify.
async fn all(stream: &mut TlsStream<TcpStream>) -> String {
    let mut received = Vec::new();
    stream.read_to_end(&mut received).await.expect("close_notify");
    String::from_utf8(received).expect("text")
}

const GOOD: &str = "GET /small HTTP/1.1\r\nhost: localhost\r\n\r\n";

#[tokio::test]
async fn a_faulty_request_is_refused_after_the_answers_before_it() {
    let server = Server::with_defaults();
    for faulty in [
        "GET /small HTTP/1.1\nhost: localhost\r\n\r\n",
        "POST /small HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /small HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nx\r\n",
    ] {
        for before in 0..3 {
            let mut stream = raw(&server).await;
            let requests = [GOOD.repeat(before), faulty.to_owned(), GOOD.repeat(2)].concat();
            stream.write_all(requests.as_bytes()).await.expect("sends");
            let received = all(&mut stream).await;
            assert_eq!(received.matches("HTTP/1.1 200 OK").count(), before, "{faulty:?}: {received}");
            assert_eq!(received.matches("HTTP/1.1 ").count(), before + 1, "{faulty:?}: {received}");
            let (_, refusal) = received.rsplit_once("HTTP/1.1 ").expect("a refusal");
            assert!(
                refusal.starts_with("400 Bad Request\r\n") && refusal.contains("connection: close"),
                "{refusal}"
            );
        }
    }
    let refused = server.figure("skerry_edge_cut_offs_total{edge=\"test\",reason=\"malformed\"}");
    assert_eq!(refused, "9");
    server.stopped().await;
}

#[tokio::test]
async fn a_fault_that_comes_late_and_in_pieces_is_refused_the_same() {
    let server = Server::with_defaults();
    let chunked = "POST /small HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n";
    for pieces in [
        ["GET /small HTTP/1.1\r\nhost: loc", "alhost\r\na : b\r\n\r\n"],
        [chunked, "zz\r\n"],
        [chunked, "3\r\nabcd\r\n0\r\n\r\n"],
        [&[GOOD, "GET /sm"].concat(), "all HTTP/1.1\n\r\n"],
    ] {
        let mut stream = raw(&server).await;
        for piece in pieces {
            stream.write_all(piece.as_bytes()).await.expect("sends");
            stream.flush().await.expect("sends");
            // Records of their own, and mostly reads of their own.
            tokio::task::yield_now().await;
        }
        let received = all(&mut stream).await;
        let goods = pieces.concat().matches(GOOD).count();
        assert_eq!(received.matches("HTTP/1.1 200 OK").count(), goods, "{pieces:?}: {received}");
        assert_eq!(received.matches("HTTP/1.1 400 ").count(), 1, "{pieces:?}: {received}");
    }
    server.stopped().await;
}

#[tokio::test]
async fn a_fault_waits_for_a_response_that_is_under_way() {
    let server = Server::with_defaults();
    let mut stream = raw(&server).await;
    let requests = "GET /written HTTP/1.1\r\nhost: localhost\r\n\r\nGET /small HTTP/1.1\n\n";
    stream.write_all(requests.as_bytes()).await.expect("sends");
    let mut received = vec![0; 12];
    stream.read_exact(&mut received).await.expect("the head of the first response");
    for _ in 0..WRITTEN_SIZE / FRAME_SIZE {
        server.write();
    }
    stream.read_to_end(&mut received).await.expect("close_notify");
    assert!(received.starts_with(b"HTTP/1.1 200"));
    assert!(received.len() > WRITTEN_SIZE, "the response is whole");
    assert!(received.ends_with(b"lines end with CR LF\n"));
    server.stopped().await;
}

#[tokio::test]
async fn orderly_ends_say_so() {
    let limits = ListenLimits { idle_time_max: SOON, ..ListenLimits::default() };
    let server = Server::start(limits, NEVER, WRITTEN_SIZE);
    let mut told = raw(&server).await;
    told.write_all(b"GET /small HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await
        .expect("sends");
    assert!(all(&mut told).await.starts_with("HTTP/1.1 200 OK"));
    let mut old = raw(&server).await;
    old.write_all(b"GET /small HTTP/1.0\r\n\r\n").await.expect("sends");
    assert!(all(&mut old).await.starts_with("HTTP/1.0 200 OK"));
    let mut idle = raw(&server).await;
    idle.write_all(GOOD.as_bytes()).await.expect("sends");
    assert!(all(&mut idle).await.starts_with("HTTP/1.1 200 OK"));
    server.stopped().await;
}

#[tokio::test]
async fn a_client_without_alpn_gets_http_1_1() {
    let server = Server::with_defaults();
    let mut config = tls(&server.authority, b"", rustls::DEFAULT_VERSIONS);
    config.alpn_protocols.clear();
    let mut stream = connect_tls(server.address, config).await.expect("connects");
    stream.write_all(b"GET /small HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.expect("sends");
    assert!(all(&mut stream).await.starts_with("HTTP/1.1 200 OK"));
    server.stopped().await;
}

/// Slower than any test reads that does not read at all.
fn at_a_pace() -> ListenLimits {
    ListenLimits { rate_min: 100 << 20, rate_time_max: SOON, idle_time_max: NEVER, ..ListenLimits::default() }
}

#[tokio::test]
async fn a_client_slower_than_the_least_pace_is_cut_off() {
    for protocol in PROTOCOLS {
        let mut server = Server::start(at_a_pace(), NEVER, WRITTEN_SIZE);
        let mut client = server.client(protocol).await.expect("connects");
        let answer = client.get("/huge").await.expect("answers");
        server.endings.recv().await.expect("the response ends");
        assert!(answer.all().await.is_err(), "{protocol:?}");
        assert_eq!(
            server.figure("skerry_edge_cut_offs_total{edge=\"test\",reason=\"slow\"}"),
            "1",
            "{protocol:?}"
        );
        server.stopped().await;
    }
}

#[tokio::test]
async fn a_client_that_waits_for_the_site_is_not_slow() {
    for protocol in PROTOCOLS {
        let server = Server::start(at_a_pace(), NEVER, WRITTEN_SIZE);
        let mut client = server.client(protocol).await.expect("connects");
        server.write();
        let mut answer = client.get("/written").await.expect("answers");
        let mut size = answer.read(FRAME_SIZE).await.expect("the first frame").len();
        // Well past the patience with a slow client.
        tokio::time::sleep(4 * SOON).await;
        server.write();
        server.write();
        size += answer.all().await.expect("the rest").len();
        assert_eq!(size, WRITTEN_SIZE, "{protocol:?}");
        server.stopped().await;
    }
}

#[tokio::test]
async fn a_header_block_without_end_is_given_up() {
    let limits = ListenLimits { head_time_max: SOON, idle_time_max: NEVER, ..ListenLimits::default() };
    let server = Server::start(limits, NEVER, WRITTEN_SIZE);
    let preface = &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"[..];
    // HEADERS with END_STREAM alone, and a field of them.
    let unfinished = &[preface, &b"\0\0\x01\x01\x01\0\0\0\x01\x82"[..]].concat();
    for sent in [&preface[..10], unfinished] {
        let config = tls(&server.authority, b"h2", rustls::DEFAULT_VERSIONS);
        let mut stream = connect_tls(server.address, config).await.expect("connects");
        stream.write_all(sent).await.expect("sends");
        // Whether the end is clean is not promised.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
    assert_eq!(server.figure("skerry_edge_cut_offs_total{edge=\"test\",reason=\"head_timeout\"}"), "2");
    server.stopped().await;
}

#[tokio::test]
async fn what_is_in_flight_has_a_bound_for_each_address() {
    let limits = ListenLimits::default();
    let address = QuotaLimits { request_count_max: 1, ..limits.address };
    let limits = ListenLimits { address, ..limits };
    for protocol in PROTOCOLS {
        let server = Server::start(limits, NEVER, WRITTEN_SIZE);
        let mut slow = server.client(protocol).await.expect("connects");
        let mut other = server.client(protocol).await.expect("connects");
        let answer = slow.get("/written").await.expect("answers");
        let refused = other.get("/small").await.expect("answers");
        assert_eq!(refused.head.status(), StatusCode::SERVICE_UNAVAILABLE, "{protocol:?}");
        refused.all().await.expect("whole");
        for _ in 0..WRITTEN_SIZE / FRAME_SIZE {
            server.write();
        }
        answer.all().await.expect("whole");
        // What a response holds is given back when it has ended, on the thread of its connection.
        let again = async {
            loop {
                let again = other.get("/small").await.expect("answers");
                if again.head.status() == StatusCode::OK {
                    return again.all().await.expect("whole");
                }
                again.all().await.expect("whole");
            }
        };
        assert_eq!(tokio::time::timeout(NEVER, again).await.expect("in time"), SMALL, "{protocol:?}");
        server.stopped().await;
    }
}

#[tokio::test]
async fn targets_and_heads_have_bounds_over_every_protocol() {
    let limits = ListenLimits { target_size_max: 1000, head_size_max: 4000, ..ListenLimits::default() };
    let server = Server::start(limits, NEVER, WRITTEN_SIZE);
    for protocol in PROTOCOLS {
        for (size, status) in [(999, StatusCode::OK), (1000, StatusCode::URI_TOO_LONG)] {
            let mut client = server.client(protocol).await.expect("connects");
            let target = format!("/{}", "a".repeat(size));
            let answer = client.get(&target).await.expect("answers");
            assert_eq!(answer.head.status(), status, "{protocol:?} {size}");
        }
        let mut client = server.client(protocol).await.expect("connects");
        // A client that has heard of our bound in time does not even send it (RFC 9114 §4.2.2).
        let answer = client.get_with("/small", "cookie", &"a".repeat(8000)).await;
        let is_told = answer.map_or(protocol == Protocol::Http3, |answer| {
            answer.head.status() == StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
        });
        assert!(is_told, "{protocol:?}");
    }
    server.stopped().await;
}

#[tokio::test]
async fn a_quic_client_that_takes_back_its_requests_is_cut_off() {
    let limits = ListenLimits { frame_credit_max: 160, ..ListenLimits::default() };
    let server = Server::start(limits, NEVER, WRITTEN_SIZE);
    let client = server.client(Protocol::Http3).await.expect("connects");
    let connection = client.connection.as_ref().expect("QUIC").clone();
    let closed = async {
        loop {
            let Ok((mut send, mut receive)) = connection.open_bi().await else { break };
            // A part of a head, taken back.
            let _ = send.write_all(&[1, 20, 0]).await;
            let _ = send.reset(0x010c_u32.into());
            let _ = receive.stop(0x010c_u32.into());
        }
        connection.closed().await
    };
    let error = tokio::time::timeout(NEVER, closed).await.expect("in time");
    let quinn::ConnectionError::ApplicationClosed(close) = error else { panic!("{error}") };
    // RFC 9114 §8.1: H3_EXCESSIVE_LOAD.
    assert_eq!(close.error_code.into_inner(), 0x0107);
    assert_eq!(server.figure("skerry_edge_cut_offs_total{edge=\"test\",reason=\"flood\"}"), "1");
    server.stopped().await;
}

/// RFC 9000 §8: three times what an unproven address has sent, whoever's it is.
#[tokio::test]
async fn an_unproven_address_is_sent_no_more_than_three_times_what_it_sent() {
    let limits = ListenLimits { handshake_time_max: 10 * SOON, ..ListenLimits::default() };
    let server = Server::start(limits, NEVER, WRITTEN_SIZE);
    let relay = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("binds");
    let relay_address = relay.local_addr().expect("bound");
    let metrics = Arc::clone(&server.metrics);
    let (address, authority) = (server.address, server.authority.clone());
    let client =
        tokio::spawn(
            async move { Client::connect(relay_address, &authority, Protocol::Http3).await.is_err() },
        );
    let mut datagram = [0; 2048];
    // The first flight alone gets through, and nothing that comes back does.
    let (sent, _) = relay.recv_from(&mut datagram).await.expect("a client");
    relay.send_to(&datagram[..sent], address).await.expect("sends");
    let mut received = 0;
    let count = async {
        loop {
            let (size, from) = relay.recv_from(&mut datagram).await.expect("a datagram");
            if from == address {
                received += size;
            }
        }
    };
    let given_up = async {
        while !metrics.handle().render().contains("outcome=\"timed_out\"} 1\n") {
            tokio::time::sleep(SOON).await;
        }
    };
    tokio::select! {
        () = count => {}
        () = given_up => {}
    }
    assert!(received > 0 && received <= 3 * sent, "{received} for {sent}");
    client.abort();
    server.stopped().await;
}

#[tokio::test]
async fn datagrams_of_no_sense_are_ignored() {
    let server = Server::with_defaults();
    let mut client = server.client(Protocol::Http3).await.expect("connects");
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("binds");
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
