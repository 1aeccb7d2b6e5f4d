//! The body of a response.

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};

/// The body of a response: nothing, or bytes that arrive slice by slice, in frames of at most 64 KiB that copy nothing.
///
/// `size_hint` is exact, so that every protocol sends the right `Content-Length` and knows the end.
#[derive(Debug)]
pub struct Body;

/// The rest of the body cannot be had: the listener must end the stream so that the client sees it.
#[derive(Debug, thiserror::Error)]
#[error("the rest of the body cannot be had")]
pub struct BodyError;

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        todo!()
    }

    fn is_end_stream(&self) -> bool {
        todo!()
    }

    fn size_hint(&self) -> SizeHint {
        todo!()
    }
}
