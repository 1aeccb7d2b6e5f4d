//! Where the requests of an HTTP/1.1 connection begin and end, followed over its bytes as they come.
//!
//! A request that two parsers may divide differently is how one client speaks in another's name (request smuggling), so nothing
//! here is guessed or mended: what is not exactly of the grammar of RFC 9112 is a [`Fault`], and so is everything after it. hyper
//! alone is not enough: it drops `Content-Length` silently beside `Transfer-Encoding`, and its parser takes a bare LF.
//!
//! Pure, and blind to how the bytes were cut into pieces: every division of the same bytes has the same verdict. Nothing is copied
//! but the beginning of a line whose end has not come, which the limits bound. What a request means is not looked at.

use ::http::StatusCode;
use memchr::memchr;

/// Of a request line besides its target: the longest registered method, two spaces and the version, roundly.
const REQUEST_LINE_REST_MAX: usize = 64;

/// A size has 16 digits at most; the rest is for extensions, which nobody here understands (RFC 9112 §7.1.1).
const CHUNK_LINE_SIZE_MAX: usize = 256;

/// What a head may take up.
#[derive(Debug, Clone, Copy)]
pub struct HeadLimits {
    /// The request target.
    pub target_size_max: usize,
    /// The whole head, and a trailer section.
    pub head_size_max: usize,
}

/// Why a connection is not followed any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Not of the grammar, or of two readings; the rule that it breaks.
    Malformed(&'static str),
    /// A version that this is not (RFC 9110 §15.6.6).
    Version,
    /// RFC 9110 §15.5.15.
    TargetTooLong,
    /// RFC 6585 §5.
    HeadTooLarge,
}

impl Fault {
    /// How the client is told.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        }
    }

    /// The same in words.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Malformed(rule) => rule,
            Self::Version => "this is HTTP/1.1",
            Self::TargetTooLong => "the request target is too long",
            Self::HeadTooLarge => "the header fields are too large",
        }
    }
}

/// A fault, and what came before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// What is wrong.
    pub fault: Fault,
    /// Of the bytes of this call: those before the request that has the fault.
    pub passed: usize,
    /// Whether the head of that request was without fault, and its content is not.
    pub in_content: bool,
}

/// Follows the requests of one connection.
#[derive(Debug)]
pub struct Framing {
    limits: HeadLimits,
    part: Part,
    head: Head,
    /// Bytes of the head, the chunk line or the trailer section under way, without `line`.
    section_size: usize,
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
    /// Requests that are complete.
    request_count: u64,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    RequestLine,
    Fields,
    Content { left: u64 },
    ChunkLine,
    Chunk { left: u64 },
    ChunkEnd,
    Trailers,
}

/// What a head has said of the content so far.
#[derive(Debug, Clone, Copy, Default)]
struct Head {
    is_http_1_0: bool,
    content_length: Option<u64>,
    is_chunked: bool,
}

impl Framing {
    /// At the beginning of a connection.
    pub fn new(limits: HeadLimits) -> Self {
        Self {
            limits,
            part: Part::RequestLine,
            head: Head::default(),
            section_size: 0,
            line: Vec::new(),
            request_count: 0,
        }
    }

    /// Requests that are complete.
    pub fn request_count(&self) -> u64 {
        self.request_count
    }

    /// Follows the next bytes.
    ///
    /// # Errors
    /// [`Refused`]; after it there is nothing more to follow.
    pub fn advance(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        let mut rest = bytes;
        // Where the request under way begins, if it begins in these bytes.
        let mut start = 0;
        while !rest.is_empty() {
            let before = self.request_count;
            let taken = self.step(rest).map_err(|fault| Refused {
                fault,
                passed: start,
                in_content: !matches!(self.part, Part::RequestLine | Part::Fields),
            })?;
            rest = rest.get(taken..).unwrap_or_default();
            if self.request_count > before {
                start = bytes.len() - rest.len();
            }
        }
        Ok(())
    }

    /// Takes a line, or as much as there is of one or of some content; says how many bytes.
    fn step(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        if let Part::Content { left } | Part::Chunk { left } = self.part {
            let taken = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
            self.skip(left - taken as u64);
            return Ok(taken);
        }
        let Some(end) = memchr(b'\n', bytes) else {
            self.check_size(self.line.len() + bytes.len())?;
            self.line.extend_from_slice(bytes);
            return Ok(bytes.len());
        };
        let (line, _) = bytes.split_at(end + 1);
        if self.line.is_empty() {
            self.take_line(line)?;
        } else {
            let mut whole = std::mem::take(&mut self.line);
            self.check_size(whole.len() + line.len())?;
            whole.extend_from_slice(line);
            self.take_line(&whole)?;
        }
        Ok(line.len())
    }

    fn skip(&mut self, left: u64) {
        match self.part {
            Part::Content { .. } if left == 0 => self.complete(),
            Part::Content { .. } => self.part = Part::Content { left },
            _ if left == 0 => self.part = Part::ChunkEnd,
            _ => self.part = Part::Chunk { left },
        }
    }

    fn complete(&mut self) {
        self.request_count += 1;
        self.part = Part::RequestLine;
        self.section_size = 0;
    }

    /// Sizes come before syntax, so that a line is judged alike whether it has come to its end or not.
    fn check_size(&self, line_size: usize) -> Result<(), Fault> {
        let HeadLimits { target_size_max, head_size_max } = self.limits;
        match self.part {
            Part::RequestLine if line_size > target_size_max.saturating_add(REQUEST_LINE_REST_MAX) => {
                Err(Fault::TargetTooLong)
            }
            Part::ChunkLine | Part::ChunkEnd if line_size > CHUNK_LINE_SIZE_MAX => {
                Err(Fault::Malformed("a chunk begins with its size alone"))
            }
            _ if self.section_size.saturating_add(line_size) > head_size_max => Err(Fault::HeadTooLarge),
            _ => Ok(()),
        }
    }

    fn take_line(&mut self, line: &[u8]) -> Result<(), Fault> {
        self.check_size(line.len())?;
        // RFC 9112 §2.2 lets a recipient take a bare LF for the end of a line; not every recipient does.
        let content = line.strip_suffix(b"\r\n").ok_or(Fault::Malformed("lines end with CR LF"))?;
        self.section_size += line.len();
        match self.part {
            // RFC 9112 §2.2: some clients send an empty line too many after their content.
            Part::RequestLine if content.is_empty() => {}
            Part::RequestLine => {
                self.head = request_line(content, self.limits.target_size_max)?;
                self.part = Part::Fields;
            }
            Part::Fields if content.is_empty() => self.end_head(),
            Part::Fields => self.head.field(content)?,
            Part::ChunkLine => {
                let left = chunk_size(content)?;
                self.part = if left == 0 { Part::Trailers } else { Part::Chunk { left } };
                self.section_size = 0;
            }
            Part::ChunkEnd if content.is_empty() => {
                self.part = Part::ChunkLine;
                self.section_size = 0;
            }
            Part::Trailers if content.is_empty() => self.complete(),
            Part::Trailers => match field(content)? {
                // RFC 9110 §6.5.1.
                (Framed::No, _) => {}
                (Framed::ContentLength | Framed::TransferEncoding, _) => {
                    return Err(Fault::Malformed("trailer fields do not say where content ends"));
                }
            },
            Part::ChunkEnd | Part::Content { .. } | Part::Chunk { .. } => {
                return Err(Fault::Malformed("a chunk is as long as its size says"));
            }
        }
        Ok(())
    }

    fn end_head(&mut self) {
        self.section_size = 0;
        match self.head {
            Head { is_chunked: true, .. } => self.part = Part::ChunkLine,
            Head { content_length: Some(left @ 1..), .. } => self.part = Part::Content { left },
            Head { .. } => self.complete(),
        }
    }
}

/// RFC 9112 §3.
fn request_line(line: &[u8], target_size_max: usize) -> Result<Head, Fault> {
    let mut words = line.split(|&byte| byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Fault::Malformed("a request line is a method, a target and a version"));
    };
    if !is_token(method) {
        return Err(Fault::Malformed("the method is not a token"));
    }
    if target.is_empty() || target.iter().any(|&byte| byte <= b' ' || byte == 0x7f) {
        return Err(Fault::Malformed("the request target is not visible text"));
    }
    if target.len() > target_size_max {
        return Err(Fault::TargetTooLong);
    }
    match version {
        b"HTTP/1.1" => Ok(Head::default()),
        b"HTTP/1.0" => Ok(Head { is_http_1_0: true, ..Head::default() }),
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => Err(Fault::Version),
        _ => Err(Fault::Malformed("the version is not one of HTTP")),
    }
}

/// Whether a field says where content ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framed {
    No,
    ContentLength,
    TransferEncoding,
}

/// RFC 9112 §5: what kind of field a line is, and its value.
fn field(line: &[u8]) -> Result<(Framed, &[u8]), Fault> {
    if matches!(line, [b' ' | b'\t', ..]) {
        // RFC 9112 §5.2.
        return Err(Fault::Malformed("a field is one line"));
    }
    let colon = memchr(b':', line).ok_or(Fault::Malformed("a field has a colon"))?;
    let (name, value) = line.split_at(colon);
    // RFC 9112 §5.1: white space before the colon is no part of a token.
    if !is_token(name) {
        return Err(Fault::Malformed("the name of a field is not a token"));
    }
    // RFC 9110 §5.5. A fold without early end, so that it takes many bytes at once.
    let is_control = |byte: u8| (byte < b' ' && byte != b'\t') || byte == 0x7f;
    if value.iter().fold(false, |found, &byte| found | is_control(byte)) {
        return Err(Fault::Malformed("the value of a field has control characters"));
    }
    let framed = if name.eq_ignore_ascii_case(b"content-length") {
        Framed::ContentLength
    } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
        Framed::TransferEncoding
    } else {
        Framed::No
    };
    Ok((framed, value.get(1..).unwrap_or_default().trim_ascii()))
}

impl Head {
    /// RFC 9112 §6.
    fn field(&mut self, line: &[u8]) -> Result<(), Fault> {
        match field(line)? {
            (Framed::No, _) => return Ok(()),
            (Framed::ContentLength, value) => {
                if self.content_length.is_some() {
                    return Err(Fault::Malformed("there is one Content-Length at most"));
                }
                let length = digits(value, 10);
                self.content_length =
                    Some(length.ok_or(Fault::Malformed("Content-Length is one decimal number"))?);
            }
            (Framed::TransferEncoding, value) => {
                if self.is_http_1_0 {
                    return Err(Fault::Malformed("HTTP/1.0 has no Transfer-Encoding"));
                }
                if self.is_chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Fault::Malformed("Transfer-Encoding is chunked and nothing else"));
                }
                self.is_chunked = true;
            }
        }
        // RFC 9112 §6.3: it might be an attempt at smuggling, and ought to be handled as an error.
        if self.is_chunked && self.content_length.is_some() {
            return Err(Fault::Malformed("Content-Length and Transfer-Encoding exclude each other"));
        }
        Ok(())
    }
}

/// RFC 9112 §7.1: the size, and extensions that are passed over.
fn chunk_size(line: &[u8]) -> Result<u64, Fault> {
    const FAULT: Fault = Fault::Malformed("a chunk begins with its size in hexadecimal digits");
    let end = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    let (size, extensions) = line.split_at(end);
    let is_text = extensions.iter().all(|&byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f));
    if !is_text || !matches!(extensions.trim_ascii_start(), [] | [b';', ..]) {
        return Err(FAULT);
    }
    digits(size, 16).ok_or(FAULT)
}

/// A number of digits alone: no sign, no separator, nothing that overflows.
fn digits(text: &[u8], radix: u32) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    // `from_str_radix` takes a sign.
    let has_digit_first = text.chars().next()?.is_digit(radix);
    if has_digit_first { u64::from_str_radix(text, radix).ok() } else { None }
}

/// RFC 9110 §5.6.2.
fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&byte| TOKEN[usize::from(byte)])
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        let character = byte as u8;
        table[byte] = character.is_ascii_alphanumeric()
            || matches!(
                character,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            );
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests;
