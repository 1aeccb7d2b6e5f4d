//! Targets and hosts that no client library sends (RFC 9110 §7, RFC 9112 §3), by hand over each protocol.

use crate::harness::{Dev, H3_SETTINGS, PREFACE, Protocol, Site, WHOLE, block_on, frame, get, h3_get, kind};
use quinn::TransportConfig;

fn with_small() -> (Dev, Site) {
    let dev = Dev::start();
    dev.cli().put("/small.txt", b"small\n");
    let site = dev.site();
    (dev, site)
}

/// All that comes after a request over HTTP/1.1 that ends the connection.
fn http1(site: &Site, request: &str) -> String {
    let ended = block_on(async {
        let mut raw = site.raw(Protocol::Http1).await;
        raw.send(request.as_bytes()).await;
        raw.end().await
    });
    String::from_utf8(ended.received).expect("text")
}

#[test]
fn one_valid_host_is_needed_whatever_the_target_says() {
    let (_dev, site) = with_small();
    let absolute = "https://localhost/small.txt";
    let table = [
        // RFC 9112 §3.2.
        ("/small.txt", "", 400),
        ("/small.txt", "Host: localhost\r\nHost: localhost\r\n", 400),
        ("/small.txt", "Host: localhost, localhost\r\n", 400),
        ("/small.txt", "Host: local host\r\n", 400),
        ("/small.txt", "Host: u@localhost\r\n", 400),
        ("/small.txt", "Host:\r\n", 400),
        ("/small.txt", "Host: localhost:port\r\n", 400),
        ("/small.txt", "Host: localhost\r\n", 200),
        // RFC 9112 §3.2.2: the target goes before the field, which still has to be there.
        (absolute, "Host: localhost\r\n", 200),
        (absolute, "Host: other.test\r\n", 200),
        (absolute, "", 400),
        (absolute, "Host: localhost\r\nHost: localhost\r\n", 400),
        ("https://u@localhost/small.txt", "Host: localhost\r\n", 400),
    ];
    for (target, fields, status) in table {
        let request = format!("GET {target} HTTP/1.1\r\n{fields}Connection: close\r\n\r\n");
        let received = http1(&site, &request);
        assert!(received.starts_with(&format!("HTTP/1.1 {status} ")), "{target} {fields:?}: {received}");
    }
}

#[test]
fn connect_and_options_of_everything_are_answered_and_lead_nowhere() {
    let (_dev, site) = with_small();
    let received =
        http1(&site, "CONNECT localhost:443 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(
        received.starts_with("HTTP/1.1 405 ") && received.contains("allow: GET, HEAD, OPTIONS\r\n"),
        "{received}"
    );
    let received = http1(&site, "OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(received.starts_with("HTTP/1.1 204 "), "{received}");
}

/// What comes of a field block over HTTP/2: its status as HPACK writes it first, or that the stream was reset.
fn http2(site: &Site, block: &[u8]) -> Vec<u8> {
    block_on(async {
        let mut raw = site.raw(Protocol::Http2).await;
        // A frame that ends the connection, once the request has its answer.
        raw.send(
            &[PREFACE, &frame(kind::HEADERS, WHOLE, 1, block), &frame(kind::PING, 0, 0, &[0; 7])].concat(),
        )
        .await;
        raw.end().await.received
    })
}

/// A literal field that is not remembered (RFC 7541 §6.2.2).
fn field(name: &str, value: &str) -> Vec<u8> {
    let sized = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
    [vec![0], sized(name), sized(value)].concat()
}

fn holds(received: &[u8], part: &[u8]) -> bool {
    received.windows(part.len()).any(|window| window == part)
}

#[test]
fn a_host_that_contradicts_the_authority_shows_nothing() {
    let (_dev, site) = with_small();
    let plain = get("/small.txt", "localhost");
    assert!(!holds(&http2(&site, &[plain.clone(), field("host", "other.test")].concat()), b"small\n"));
    assert!(!holds(
        &http2(&site, &[plain, field("host", "localhost"), field("host", "localhost")].concat()),
        b"small\n"
    ));
    // `:method` CONNECT, with an authority alone (RFC 9113 §8.5).
    let connect = [field(":method", "CONNECT"), field(":authority", "localhost")].concat();
    assert!(!holds(&http2(&site, &connect), b"small\n"));
    for protocol in Protocol::ALL {
        assert_eq!(site.get(protocol, "/small.txt").text(), "small\n", "{protocol}");
    }
}

#[test]
fn over_http3_a_request_without_an_authority_or_with_two_shows_nothing() {
    let (_dev, site) = with_small();
    // Literal fields with a literal name (RFC 9204 §4.5.6).
    let field = |name: &str, value: &str| {
        let name_size = name.len() as u8;
        let name = match name_size {
            0..7 => [&[0x20 | name_size], name.as_bytes()].concat(),
            _ => [&[0x27, name_size - 7], name.as_bytes()].concat(),
        };
        [&name[..], &[value.len() as u8], value.as_bytes()].concat()
    };
    let head = |fields: &[Vec<u8>]| {
        let block = [&[0, 0][..], &fields.concat()].concat();
        let [high, low] = (0x4000 | block.len() as u16).to_be_bytes();
        [&[1, high, low][..], &block].concat()
    };
    let [method, scheme, path] = [(":method", "GET"), (":scheme", "https"), (":path", "/small.txt")]
        .map(|(name, value)| field(name, value));
    let authority = field(":authority", "localhost");
    let table = [
        ("no authority", head(&[method.clone(), scheme.clone(), path.clone()]), false),
        (
            "another host",
            head(&[
                method.clone(),
                scheme.clone(),
                path.clone(),
                authority.clone(),
                field("host", "other.test"),
            ]),
            false,
        ),
        ("CONNECT", head(&[field(":method", "CONNECT"), authority.clone()]), false),
        ("as it should be", head(&[method, scheme, path, authority]), true),
        ("the static table", h3_get("/small.txt", "localhost"), true),
    ];
    for (what, head, is_shown) in table {
        let received = block_on(async {
            let quic = site.quic(TransportConfig::default()).await;
            let mut control = quic.connection.open_uni().await.expect("opens");
            control.write_all(H3_SETTINGS).await.expect("sends");
            let (mut send, mut receive) = quic.connection.open_bi().await.expect("opens");
            send.write_all(&head).await.expect("sends");
            let _ = send.finish();
            receive.read_to_end(10_000).await.unwrap_or_default()
        });
        assert_eq!(holds(&received, b"small\n"), is_shown, "{what}");
    }
}

#[test]
fn no_spelling_of_a_path_leads_to_another_asset() {
    let (dev, site) = with_small();
    dev.cli().put("/folder/inner.txt", b"inner");
    let table = [
        ("/small.txt", 200),
        // RFC 3986 §2.1: the same name, encoded once.
        ("/%73mall.txt", 200),
        ("/folder/inner.txt", 200),
        // Encoded slashes are none, and dots lead nowhere (RFC 3986 §3.3, §6.2.2.3 is not ours to apply).
        ("/folder%2finner.txt", 200),
        ("/%2ffolder/inner.txt", 404),
        ("/%2e%2e/small.txt", 404),
        ("/folder/%2e%2e/small.txt", 404),
        ("/folder/..%2fsmall.txt", 404),
        ("/%2e/small.txt", 404),
        ("//small.txt", 404),
        ("/small.txt/", 404),
        ("/small.txt%00", 404),
        ("/small%00.txt", 404),
        // Encoded twice.
        ("/%2573mall.txt", 404),
        ("/%252e%252e/small.txt", 404),
        // Overlong (RFC 3629 §3): s as two bytes; a slash as two and as three.
        ("/%c1%b3mall.txt", 404),
        ("/folder%c0%afinner.txt", 404),
        ("/folder%e0%80%afinner.txt", 404),
        ("/%ff", 404),
        ("/%", 404),
        ("/%zz", 404),
    ];
    for (target, status) in table {
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let received = http1(&site, &request);
        assert!(received.starts_with(&format!("HTTP/1.1 {status} ")), "{target}: {received}");
        for protocol in [Protocol::Http2, Protocol::Http3] {
            assert_eq!(site.get(protocol, target).status, status, "{protocol} {target}");
        }
    }
}
