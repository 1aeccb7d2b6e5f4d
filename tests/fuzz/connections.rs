//! What clients send on a connection, before anything of it is a request: where requests and frames begin and end, and how many.
//!
//! Everything here is blind to how bytes were cut into pieces, and is compared with another reading of the same bytes.

use skerry_edge::listen::framing::{Fault, Framing, HeadLimits};
use skerry_edge::listen::{frames, h3_frames};

/// Sizes of pieces, beside all at once.
const PIECES: [usize; 5] = [1, 2, 3, 9, 50];

/// HTTP/1.1. What is let through is divided into requests as hyper's parser divides it.
pub(crate) fn http1_requests(bytes: &[u8]) {
    let whole = follow(bytes, bytes.len());
    for size in PIECES {
        assert_eq!(follow(bytes, size), whole, "in pieces of {size}");
    }
    let (count, fault) = whole;
    let (ends, is_refused) = divided(bytes);
    for (number, end) in (1..).zip(ends.iter().copied()).take_while(|(number, _)| *number <= count) {
        assert_eq!(follow(&bytes[..end], end).0, number, "request {number} ends at {end}");
        assert_eq!(follow(&bytes[..end - 1], end).0, number - 1, "request {number} ends at {end}");
    }
    if fault.is_none() && !is_refused {
        assert_eq!(ends.len() as u64, count, "as many requests");
    }
}

/// How many requests are complete, and what ended that.
fn follow(bytes: &[u8], piece_size: usize) -> (u64, Option<Fault>) {
    let mut framing = Framing::new(HeadLimits { target_size_max: 100, head_size_max: 1000 });
    for piece in bytes.chunks(piece_size.max(1)) {
        if let Err(refused) = framing.advance(piece) {
            assert!(refused.passed <= piece.len());
            return (framing.request_count(), Some(refused.fault));
        }
    }
    (framing.request_count(), None)
}

/// Where requests end as another parser sees it, and whether it refuses what comes then.
fn divided(bytes: &[u8]) -> (Vec<usize>, bool) {
    let (mut ends, mut start) = (Vec::new(), 0);
    loop {
        let mut fields = [httparse::EMPTY_HEADER; 600];
        let mut request = httparse::Request::new(&mut fields);
        let head_size = match request.parse(&bytes[start..]) {
            Ok(httparse::Status::Complete(size)) => size,
            Ok(httparse::Status::Partial) => return (ends, false),
            Err(_) => return (ends, true),
        };
        let content = &bytes[start + head_size..];
        let value = |wanted: &str| {
            let field = request.headers.iter().find(|field| field.name.eq_ignore_ascii_case(wanted));
            field.map(|field| field.value.trim_ascii())
        };
        let size = match (value("transfer-encoding"), value("content-length")) {
            (Some(_), _) => chunked_size(content),
            (None, Some(length)) => match std::str::from_utf8(length).ok().and_then(|text| text.parse().ok())
            {
                Some(size) => Ok(Some(size).filter(|size| *size <= content.len() as u64)),
                None => Err(()),
            },
            (None, None) => Ok(Some(0)),
        };
        match size {
            Ok(Some(size)) => start += head_size + size as usize,
            Ok(None) => return (ends, false),
            Err(()) => return (ends, true),
        }
        ends.push(start);
    }
}

/// The size of chunked content with its trailer section; `None` where its end has not come.
fn chunked_size(content: &[u8]) -> Result<Option<u64>, ()> {
    let mut at = 0;
    loop {
        match httparse::parse_chunk_size(&content[at..]) {
            Ok(httparse::Status::Complete((line_size, 0))) => {
                at += line_size;
                let mut fields = [httparse::EMPTY_HEADER; 600];
                return match httparse::parse_headers(&content[at..], &mut fields) {
                    Ok(httparse::Status::Complete((size, _))) => Ok(Some((at + size) as u64)),
                    Ok(httparse::Status::Partial) => Ok(None),
                    Err(_) => Err(()),
                };
            }
            Ok(httparse::Status::Complete((line_size, size))) => {
                // With the end of its line.
                let Some(end) =
                    usize::try_from(size).ok().and_then(|size| (at + line_size + 2).checked_add(size))
                else {
                    return Ok(None);
                };
                if end > content.len() {
                    return Ok(None);
                }
                if content[..end].last_chunk() != Some(b"\r\n") {
                    return Err(());
                }
                at = end;
            }
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(()),
        }
    }
}

/// HTTP/2. The first byte says how much credit there is; no more frames pass than that pays for, and none in part.
pub(crate) fn http2_frames(bytes: &[u8]) {
    let Some((credit, bytes)) = bytes.split_first() else { return };
    let credit = u64::from(*credit);
    let whole = passed(bytes, credit, bytes.len());
    for size in PIECES {
        assert_eq!(passed(bytes, credit, size), whole, "in pieces of {size}");
    }
    let (mut at, mut ends, mut requests, mut others) = (24, vec![24], 0, 0);
    let is_passed = |at: usize| whole.0.is_none_or(|cut| at < cut);
    while let Some(&[a, b, c, kind, flags, ..]) = bytes.get(at..).and_then(|rest| rest.first_chunk::<9>())
        && is_passed(at)
    {
        let size = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        match kind {
            1 => requests += 1,
            0 if size == 0 && flags & 1 != 0 => {}
            _ => others += 1,
        }
        at += 9 + size;
        ends.push(at);
    }
    assert!(
        others <= credit + 2 * requests + 1,
        "{others} with a credit of {credit} and {requests} requests"
    );
    if let Some(cut) = whole.0 {
        assert!(ends.contains(&cut), "{cut} is no end of a frame");
    }
}

/// Where the connection is cut, and whether it is within a head at the end of what passes.
fn passed(bytes: &[u8], credit: u64, piece_size: usize) -> (Option<usize>, bool) {
    let mut frames = frames::Frames::new(credit);
    let mut before = 0;
    for piece in bytes.chunks(piece_size.max(1)) {
        if let Some(passed) = frames.advance(piece) {
            return (Some(before + passed), frames.is_in_head());
        }
        before += piece.len();
    }
    (None, frames.is_in_head())
}

/// HTTP/3, on the stream of a request and on one of another kind: whatever h3 would gather is bounded, and every frame but the head
/// costs.
pub(crate) fn http3_frames(bytes: &[u8]) {
    const HEAD_SIZE_MAX: usize = 100;
    const OTHER_SIZE_MAX: u64 = 16 << 10;
    for is_request in [true, false] {
        let total = |piece_size: usize| {
            let mut frames = match is_request {
                true => h3_frames::Frames::of_request(HEAD_SIZE_MAX),
                false => h3_frames::Frames::of_unidirectional(),
            };
            bytes.chunks(piece_size.max(1)).try_fold(0, |sum, piece| Ok(sum + frames.advance(piece)?))
        };
        let whole: Result<u64, h3_frames::Excess> = total(bytes.len());
        for size in PIECES {
            assert_eq!(total(size), whole, "in pieces of {size}");
        }
        let Ok(cost) = whole else { continue };
        let mut rest = bytes;
        if !is_request && varint(&mut rest) != Some(0) {
            assert_eq!(cost, 0, "no frames");
            continue;
        }
        let (mut heads, mut others) = (0, 0);
        while let (Some(kind), Some(size)) = (varint(&mut rest), varint(&mut rest)) {
            match kind {
                0 => {}
                1 => assert!(size <= if is_request { HEAD_SIZE_MAX as u64 } else { OTHER_SIZE_MAX }),
                _ => assert!(size <= OTHER_SIZE_MAX),
            }
            if kind == 1 && heads == 0 && is_request {
                heads += 1;
            } else {
                others += 1;
            }
            rest = usize::try_from(size).ok().and_then(|size| rest.get(size..)).unwrap_or_default();
        }
        assert!(cost >= others && cost <= 2 * others, "{cost} for {others} frames");
    }
}

/// RFC 9000 §16.
fn varint(rest: &mut &[u8]) -> Option<u64> {
    let size = 1 << (rest.first()? >> 6);
    let (bytes, after) = rest.split_at_checked(size)?;
    *rest = after;
    let value = bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
    Some(value & (u64::MAX >> (64 - (8 * size - 2))))
}
