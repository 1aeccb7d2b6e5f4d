//! From a request to a response. One handler for all protocols; everything here is independent of how the request came.

mod body;

pub use body::{Body, BodyError};

use http::Response;
use http::request::Parts;

/// The protocol that a request came by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 (RFC 9112); 1.0 counts as this.
    Http1,
    /// HTTP/2 (RFC 9113).
    Http2,
    /// HTTP/3 (RFC 9114).
    Http3,
}

/// Everything that an answer needs, shared by all workers.
#[derive(Debug)]
pub struct Site;

impl Site {
    /// Answers one request. Memory hits are answered without waiting.
    ///
    /// `request` is the head alone: the listener has read and dropped any body.
    pub async fn respond(&self, _request: &Parts, _protocol: Protocol) -> Response<Body> {
        todo!()
    }
}
