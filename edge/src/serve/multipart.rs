//! Several ranges in one response: `multipart/byteranges` (RFC 9110 §14.6, RFC 2046 §5.1).
//!
//! The boundary is the BLAKE3 hash of the very bytes that the parts are cut from. It cannot occur in them: a text that contains its
//! own hash would be a fixed point of the hash function, and to find one is as hard as to break it. So no byte of the content has to
//! be looked at, and the same request has the same answer on every edge.

use super::body::Piece;
use super::respond::shared;
use crate::control::{Coding, Form};
use bytes::Bytes;
use http::HeaderValue;
use std::ops::Range;

/// The content of a response with several ranges.
#[derive(Debug)]
pub(super) struct Multipart {
    /// Text and ranges in turn: it begins and ends with text.
    pub(super) pieces: Vec<Piece>,
    /// `Content-Type`
    pub(super) content_type: HeaderValue,
    /// `Content-Length`
    pub(super) content_length: u64,
}

impl Multipart {
    pub(super) fn new(form: &Form, parts: Vec<Range<u64>>) -> Self {
        let boundary = form.representation().blob.hash.to_string();
        let mut pieces = Vec::with_capacity(2 * parts.len() + 1);
        let mut content_length = 0;
        for part in parts {
            let between = if pieces.is_empty() { "" } else { "\r\n" };
            let head = part_head(form, &part);
            let text = Bytes::from([between.as_bytes(), b"--", boundary.as_bytes(), b"\r\n", &head].concat());
            content_length += text.len() as u64 + (part.end - part.start);
            pieces.push(Piece::Text(text));
            pieces.push(Piece::Range(part));
        }
        let end = Bytes::from(format!("\r\n--{boundary}--\r\n"));
        content_length += end.len() as u64;
        pieces.push(Piece::Text(end));
        let content_type = shared(format!("multipart/byteranges; boundary={boundary}"));
        Self { pieces, content_type, content_length }
    }
}

/// The fields of one part. A content coding stands here and not in the head of the response: the multipart around it is not coded.
fn part_head(form: &Form, part: &Range<u64>) -> Vec<u8> {
    let representation = form.representation();
    let mut head = Vec::with_capacity(192);
    let mut field = |name: &str, value: &[u8]| {
        for text in [name.as_bytes(), b": ", value, b"\r\n"] {
            head.extend_from_slice(text);
        }
    };
    field("Content-Type", form.asset().content_type.as_bytes());
    if representation.coding != Coding::Identity {
        field("Content-Encoding", representation.coding.token().as_bytes());
    }
    field("Content-Range", content_range(part, representation.blob.size).as_bytes());
    head.extend_from_slice(b"\r\n");
    head
}

/// `bytes first-last/size` (RFC 9110 §14.4). The range is not empty.
pub(super) fn content_range(part: &Range<u64>, size: u64) -> HeaderValue {
    shared(format!("bytes {}-{}/{size}", part.start, part.end - 1))
}
