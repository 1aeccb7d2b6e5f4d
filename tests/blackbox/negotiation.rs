//! Content codings (RFC 9110 §12.5.3), over three protocols. An edge never codes anything itself, so any bytes do for a coded form.

use crate::harness::{Edge, FakeOrigin, Protocol, Response, Showing, bytes, hash};
use bytes::Bytes;

const DOMAIN: &str = "negotiation.sites.test";

struct Forms {
    edge: Edge,
    identity: Bytes,
    br: Bytes,
    zstd: Bytes,
    gzip: Bytes,
    _origin: FakeOrigin,
}

/// `/app.js` in four forms, zstd the smallest; and `/song.mp3` in one.
fn with_forms() -> Forms {
    let [identity, br, zstd, gzip] = [1000, 300, 250, 400].map(|size| bytes(size as u64, size));
    let mut showing = Showing::default();
    showing.asset("/song.mp3", "audio/mpeg", &bytes(9, 50));
    showing.asset("/app.js", "text/javascript", &identity);
    showing.coded("br", &br);
    showing.coded("zstd", &zstd);
    showing.coded("gzip", &gzip);
    let (_origin, edge) = showing.at(DOMAIN);
    Forms { edge, identity, br, zstd, gzip, _origin }
}

impl Forms {
    fn ask(&self, protocol: Protocol, fields: &[(&str, &str)]) -> Response {
        let site = self.edge.site(DOMAIN);
        let ask = site.ask(protocol, "/app.js");
        fields.iter().fold(ask, |ask, (name, value)| ask.header(name, value)).send()
    }
}

#[test]
fn the_client_gets_the_form_that_it_weighs_highest_and_of_equals_the_smallest() {
    let forms = with_forms();
    let cases: &[(&[&str], &str, &Bytes)] = &[
        (&[], "", &forms.identity),
        (&[""], "", &forms.identity),
        (&["identity"], "", &forms.identity),
        (&["br"], "br", &forms.br),
        (&["gzip, deflate, br, zstd"], "zstd", &forms.zstd),
        (&["gzip", "br"], "br", &forms.br),
        (&["gzip;q=1, br;q=0.9"], "gzip", &forms.gzip),
        (&["identity;q=1, *;q=0.5"], "", &forms.identity),
        (&["zstd;q=0, *"], "br", &forms.br),
        (&["deflate"], "", &forms.identity),
        (&["identity;q=0, gzip;q=0.1"], "gzip", &forms.gzip),
    ];
    for protocol in Protocol::ALL {
        for (lines, coding, content) in cases {
            let fields: Vec<_> = lines.iter().map(|line| ("accept-encoding", *line)).collect();
            let response = forms.ask(protocol, &fields);
            assert_eq!(response.status, 200, "{protocol} {lines:?}");
            assert_eq!(response.header("content-encoding"), *coding, "{protocol} {lines:?}");
            assert!(response.body == *content, "{protocol} {lines:?}");
            assert_eq!(response.header("content-length"), content.len().to_string(), "{protocol} {lines:?}");
            assert_eq!(response.header("etag"), format!("\"{}\"", hash(content)), "{protocol} {lines:?}");
            assert_eq!(response.header("vary"), "accept-encoding", "{protocol} {lines:?}");
            assert_eq!(response.header("content-type"), "text/javascript", "{protocol} {lines:?}");
        }
    }
}

#[test]
fn a_client_that_accepts_no_form_is_told_so() {
    let forms = with_forms();
    for protocol in Protocol::ALL {
        for accept in ["identity;q=0", "*;q=0", "identity;q=0, deflate"] {
            let response = forms.ask(protocol, &[("accept-encoding", accept)]);
            assert_eq!(response.status, 406, "{protocol} {accept}");
            assert_eq!(response.header("vary"), "accept-encoding", "{protocol} {accept}");
        }
    }
}

#[test]
fn an_asset_with_one_form_does_not_vary() {
    let forms = with_forms();
    for protocol in Protocol::ALL {
        let site = forms.edge.site(DOMAIN);
        let response = site.ask(protocol, "/song.mp3").header("accept-encoding", "br, zstd").send();
        assert_eq!(response.status, 200, "{protocol}");
        assert_eq!((response.header("vary"), response.header("content-encoding")), ("", ""), "{protocol}");
    }
}

#[test]
fn conditions_and_ranges_are_about_the_form_that_is_chosen() {
    let forms = with_forms();
    let [identity, br] = [&forms.identity, &forms.br].map(|content| format!("\"{}\"", hash(content)));
    for protocol in Protocol::ALL {
        let accepts_br = ("accept-encoding", "br");
        let same = forms.ask(protocol, &[accepts_br, ("if-none-match", &br)]);
        assert_eq!((same.status.as_u16(), same.header("vary")), (304, "accept-encoding"), "{protocol}");
        assert_eq!(
            forms.ask(protocol, &[accepts_br, ("if-none-match", &identity)]).status,
            200,
            "{protocol}"
        );
        assert_eq!(forms.ask(protocol, &[accepts_br, ("if-match", &identity)]).status, 412, "{protocol}");

        let part = forms.ask(protocol, &[accepts_br, ("range", "bytes=10-19")]);
        assert_eq!(part.status, 206, "{protocol}");
        assert_eq!(part.header("content-range"), "bytes 10-19/300", "{protocol}");
        assert_eq!(part.header("content-encoding"), "br", "{protocol}");
        assert!(part.body == forms.br[10..20], "{protocol}");
    }
}

/// The multipart around them is not coded, so the coding is said in each part.
#[test]
fn several_ranges_of_a_coded_form_say_the_coding_in_each_part() {
    let forms = with_forms();
    for protocol in Protocol::ALL {
        let fields = [("accept-encoding", "br"), ("range", "bytes=0-1,10-11")];
        let response = forms.ask(protocol, &fields);
        assert_eq!(response.status, 206, "{protocol}");
        assert_eq!(response.header("content-encoding"), "", "{protocol}");
        let said = b"Content-Type: text/javascript\r\nContent-Encoding: br\r\nContent-Range: bytes 10-11/300\r\n\r\n";
        assert!(memchr::memmem::find(&response.body, said).is_some(), "{protocol}");
    }
}
