//! The grammar as a table, and the promise that pieces do not matter.

use super::*;

const LIMITS: HeadLimits = HeadLimits { target_size_max: 100, head_size_max: 400 };

/// The fault of some bytes and how many requests were complete before it, whole and in every division into two.
#[track_caller]
fn judge(bytes: &[u8]) -> (Option<Fault>, u64) {
    let verdict = in_pieces(&[bytes]);
    for cut in 0..=bytes.len() {
        let (first, second) = bytes.split_at(cut);
        assert_eq!(
            in_pieces(&[first, second]),
            verdict,
            "cut at {cut}: {:?}",
            bytes.escape_ascii().to_string()
        );
    }
    verdict
}

fn in_pieces(pieces: &[&[u8]]) -> (Option<Fault>, u64) {
    let mut framing = Framing::new(LIMITS);
    for piece in pieces {
        if let Err(refused) = framing.advance(piece) {
            assert!(refused.passed <= piece.len());
            return (Some(refused.fault), framing.request_count());
        }
    }
    (None, framing.request_count())
}

#[test]
fn requests_of_the_grammar_are_counted() {
    let cases: [(&[u8], u64); 14] = [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1),
        (b"GET / HTTP/1.0\r\n\r\n", 1),
        (b"GET /\xc3\xbc HTTP/1.1\r\nHost: a\r\n\r\n", 1),
        (b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 1),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\n", 2),
        (b"GET / HTTP/1.1\r\nHost:a\r\nX:\r\nY: \t b \xff c\t \r\n\r\n", 1),
        (b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\n\r\n", 2),
        (b"POST / HTTP/1.1\r\ncontent-length:  0 \r\n\r\nGET / HTTP/1.1\r\n\r\n", 2),
        (b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab", 0),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 1),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n00a;x=\"y\"\r\n0123456789\r\n0 ;z\r\nT: v\r\n\r\n", 1),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n", 2),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", 0),
        (b"GET", 0),
    ];
    for (bytes, count) in cases {
        assert_eq!(judge(bytes), (None, count), "{:?}", bytes.escape_ascii().to_string());
    }
}

#[test]
fn whatever_has_two_readings_is_refused() {
    let heads: [&[u8]; 43] = [
        // RFC 9112 §3: the request line.
        b"GET /\r\n",
        b"GET  / HTTP/1.1\r\n",
        b"GET / HTTP/1.1 \r\n",
        b" GET / HTTP/1.1\r\n",
        b"GET\t/\tHTTP/1.1\r\n",
        b"GET / HTTP/11\r\n",
        b"GET / http/1.1\r\n",
        b"G@T / HTTP/1.1\r\n",
        b"GET /\0 HTTP/1.1\r\n",
        b"GET /a\rb HTTP/1.1\r\n",
        b"GET /\x7f HTTP/1.1\r\n",
        b"\n",
        b"GET / HTTP/1.1\n",
        b"GET / HTTP/1.1\r\r\n",
        // RFC 9112 §5: field lines.
        b"GET / HTTP/1.1\r\nHost: a\n",
        b"GET / HTTP/1.1\r\nHost : a\r\n",
        b"GET / HTTP/1.1\r\nHost\t: a\r\n",
        b"GET / HTTP/1.1\r\n: a\r\n",
        b"GET / HTTP/1.1\r\nHost\r\n",
        b"GET / HTTP/1.1\r\n Host: a\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\tb\r\n",
        b"GET / HTTP/1.1\r\nHost: a\0\r\n",
        b"GET / HTTP/1.1\r\nHost: a\rX: b\r\n",
        b"GET / HTTP/1.1\r\nHost: \x0b\r\n",
        b"GET / HTTP/1.1\r\nHo(st: a\r\n",
        b"GET / HTTP/1.1\r\nH\xc3\xb6st: a\r\n",
        // RFC 9112 §6: where content ends.
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3, 3\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: +3\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -3\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 0x3\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3 3\r\n",
        b"POST / HTTP/1.1\r\nContent-Length:\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: identity\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n",
    ];
    for head in heads {
        let (fault, count) = judge(&[head, b"\r\nGET / HTTP/1.1\r\n\r\n"].concat());
        let text = head.escape_ascii().to_string();
        assert!(matches!(fault, Some(Fault::Malformed(_))), "{fault:?} for {text}");
        assert_eq!(count, 0, "{text}");
    }
    assert_eq!(judge(b"PRI * HTTP/2.0\r\n").0, Some(Fault::Version));
}

#[test]
fn chunks_are_exactly_as_long_as_they_say() {
    let contents: [&[u8]; 16] = [
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"4\r\nabc\r\n0\r\n\r\n",
        b"3\nabc\r\n0\r\n\r\n",
        b"3\r\nabc\n0\r\n\r\n",
        b"0x3\r\nabc\r\n0\r\n\r\n",
        b"+3\r\nabc\r\n0\r\n\r\n",
        b" 3\r\nabc\r\n0\r\n\r\n",
        b"3 a\r\nabc\r\n0\r\n\r\n",
        b"3;\0\r\nabc\r\n0\r\n\r\n",
        b"\r\nabc\r\n0\r\n\r\n",
        b"g\r\n",
        b"10000000000000000\r\n",
        b"0\r\nT : v\r\n\r\n",
        b"0\r\nContent-Length: 3\r\n\r\n",
        b"0\r\n\n",
        b"0\r\n T: v\r\n\r\n",
    ];
    for content in contents {
        let request = [b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", content].concat();
        let (fault, count) = judge(&request);
        let text = content.escape_ascii().to_string();
        assert!(matches!(fault, Some(Fault::Malformed(_))), "{fault:?} for {text}");
        assert_eq!(count, 0, "{text}");
    }
}

#[test]
fn a_target_and_a_head_have_their_bounds() {
    let with_target = |size: usize| format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(size - 1)).into_bytes();
    assert_eq!(judge(&with_target(100)), (None, 1));
    assert_eq!(judge(&with_target(101)).0, Some(Fault::TargetTooLong));
    assert_eq!(judge(&[b'a'; 500]).0, Some(Fault::TargetTooLong));
    let with_head = |size: usize| {
        let frame = b"GET / HTTP/1.1\r\nA: \r\n\r\n".len();
        format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "a".repeat(size - frame)).into_bytes()
    };
    assert_eq!(judge(&with_head(400)), (None, 1));
    assert_eq!(judge(&with_head(401)).0, Some(Fault::HeadTooLarge));
    assert_eq!(judge(&b"\r\n".repeat(300)).0, Some(Fault::HeadTooLarge));
    // The bound is on each head.
    assert_eq!(judge(&with_head(400).repeat(3)), (None, 3));
    let chunk_line = [&b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;"[..], &[b'a'; 300]].concat();
    assert!(matches!(judge(&chunk_line).0, Some(Fault::Malformed(_))));
}

#[test]
fn a_refusal_says_where_the_request_begins_that_it_is_for() {
    let good = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let refused = |bytes: &[u8]| Framing::new(LIMITS).advance(bytes).expect_err("a fault");
    let first = refused(b"GET / HTTP/1.1\nHost: a\r\n\r\n");
    assert_eq!((first.passed, first.in_content), (0, false));
    let second = refused(&[&good[..], b"GET / HTTP/1.1\r\nA : b\r\n\r\n"].concat());
    assert_eq!((second.passed, second.in_content), (good.len(), false));
    let chunked = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
    let content = refused(&[&good[..], chunked].concat());
    assert_eq!((content.passed, content.in_content), (good.len(), true));
}

/// Bytes as no client sends them, made of what matters to the grammar, in random pieces: no panic, and one verdict.
#[test]
fn no_bytes_and_no_division_of_them_confuse_it() {
    const WORDS: [&[u8]; 22] = [
        b"GET / HTTP/1.1\r\n",
        b"POST / HTTP/1.1\r\n",
        b"Host: a\r\n",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"\r\n",
        b"\r\n\r\n",
        b"\r",
        b"\n",
        b" ",
        b"\t",
        b":",
        b"\0",
        b"5\r\nabcde\r\n",
        b"0\r\n\r\n",
        b"abcde",
        b";x",
        b"\xff",
        b"HTTP/1.0",
        b"chunked",
        b"ffffffffffffffff\r\n",
        b"18446744073709551615",
    ];
    // SplitMix64: a fixed sequence, so that a failure comes again.
    let mut state = 7_u64;
    let mut random = |bound: usize| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = state;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((value ^ (value >> 31)) % bound as u64) as usize
    };
    for _ in 0..20_000 {
        let bytes: Vec<u8> = (0..=random(14)).flat_map(|_| WORDS[random(WORDS.len())]).copied().collect();
        let mut pieces = Vec::new();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(1 + random(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        assert_eq!(in_pieces(&pieces), in_pieces(&[&bytes]), "{:?}", bytes.escape_ascii().to_string());
    }
}
