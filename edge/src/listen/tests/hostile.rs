//! Clients that do not mean well, where a site of the tests' own shows best what becomes of them.

use super::client::connect_tls_with_little_room;
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
        let mut server = Server::start(at_a_pace(), NEVER, WRITTEN_SIZE);
        let mut client = server.client(protocol).await.expect("connects");
        server.write();
        let mut answer = client.get("/written").await.expect("answers");
        let mut size = answer.read(FRAME_SIZE).await.expect("the first frame").len();
        // Patience with a client that came later, and does not read, ends meanwhile.
        let mut slow = server.client(protocol).await.expect("connects");
        let not_read = slow.get("/huge").await.expect("answers");
        server.endings.recv().await.expect("the response ends");
        drop(not_read);
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
    // The last frame of a block, without its last byte.
    let within = &[preface, &b"\0\0\x02\x01\x05\0\0\0\x01\x82"[..]].concat();
    for sent in [&preface[..10], unfinished, within] {
        let config = tls(&server.authority, b"h2", rustls::DEFAULT_VERSIONS);
        let mut stream = connect_tls(server.address, config).await.expect("connects");
        stream.write_all(sent).await.expect("sends");
        // Whether the end is clean is not promised.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
    assert_eq!(server.figure("skerry_edge_cut_offs_total{edge=\"test\",reason=\"head_timeout\"}"), "3");
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
        for (size, status) in [(3000, StatusCode::OK), (5000, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)] {
            let mut client = server.client(protocol).await.expect("connects");
            let answer = client.get_with("/small", "cookie", &"a".repeat(size)).await.expect("answers");
            assert_eq!(answer.head.status(), status, "{protocol:?} {size}");
        }
    }
    for (reason, count) in [("target_too_long", "3"), ("head_too_large", "3")] {
        let series = format!("skerry_edge_cut_offs_total{{edge=\"test\",reason=\"{reason}\"}}");
        assert_eq!(server.figure(&series), count, "{reason}");
    }
    server.stopped().await;
}

#[tokio::test]
async fn what_is_on_its_way_to_a_slow_client_arrives_though_the_edge_stops() {
    let mut server = Server::start(ListenLimits::default(), NEVER, WRITTEN_SIZE);
    let config = tls(&server.authority, b"http/1.1", rustls::DEFAULT_VERSIONS);
    let mut stream = connect_tls_with_little_room(server.address, config).await.expect("connects");
    stream.write_all(b"GET /huge HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("sends");
    // Until hyper has taken all of the body: the rest of it waits for room in the socket.
    let (mut received, mut piece) = (0, vec![0; 1 << 16]);
    while server.endings.try_recv().is_err() {
        received += stream.read(&mut piece).await.expect("not the end yet");
    }
    server.stop.cancel();
    // Longer than a connection may take to end on which nothing is under way.
    tokio::time::sleep(super::super::idle::CLOSE_TIME_MAX + SOON).await;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.expect("close_notify");
    received += rest.len();
    assert!(received > HUGE_FRAMES * FRAME_SIZE, "{received} bytes with the head");
    server.stopped().await;
}

/// Asks until the answer has this status.
async fn until_answered(server: &Server, status: &str) {
    let asking = async {
        loop {
            let mut stream = raw(server).await;
            let request = b"GET /small HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
            stream.write_all(request).await.expect("sends");
            if all(&mut stream).await.starts_with(&format!("HTTP/1.1 {status}")) {
                return;
            }
        }
    };
    tokio::time::timeout(NEVER, asking).await.expect("in time");
}

#[tokio::test]
async fn bodies_under_way_are_requests_in_flight_and_what_is_kept_of_them_counts() {
    let limits = ListenLimits::default();
    let kept = 20_000;
    let address = QuotaLimits { byte_count_max: 60_000, ..limits.address };
    let server = Server::start(ListenLimits { address, ..limits }, NEVER, WRITTEN_SIZE);
    let post =
        |path: &str| format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 50000\r\n\r\n");
    let mut unfinished = Vec::new();
    for path in ["/posted", "/small"] {
        let mut stream = raw(&server).await;
        stream.write_all(post(path).as_bytes()).await.expect("sends");
        stream.write_all(&vec![b'a'; kept]).await.expect("sends");
        unfinished.push(stream);
    }
    // Each holds 16 KiB as any request does, and one the bytes that it was sent. There is no room for a third.
    until_answered(&server, "503").await;
    drop(unfinished);
    until_answered(&server, "200").await;
    server.stopped().await;
}
