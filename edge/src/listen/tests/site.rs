//! The site of the tests: a few paths whose bodies are easy to check, and one whose body the test writes as it goes.

use crate::listen::Respond;
use crate::serve::{Connection, Excess, RequestBody};
use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

pub(super) const SMALL: &[u8] = b"a small body\n";
pub(super) const FRAME_SIZE: usize = 64 << 10;

/// Not a multiple of the frame size.
pub(super) const LARGE_SIZE: usize = 5_000_000;

/// The bytes of `/large`, and of any stretch of it.
pub(super) fn large() -> Bytes {
    (0..LARGE_SIZE).map(|index| (index % 251) as u8).collect()
}

#[derive(Debug, thiserror::Error)]
#[error("broken on purpose")]
pub(super) struct Broken;

pub(super) struct TestBody {
    left: u64,
    frames: UnboundedReceiver<Result<Bytes, Broken>>,
    ended: Option<UnboundedSender<()>>,
}

/// Answers by path, and says in a header which protocol it was told.
pub(super) struct TestSite {
    /// The body of `/written`, once.
    written: Mutex<Option<TestBody>>,
    ended: UnboundedSender<()>,
}

impl TestSite {
    /// Also what writes the body of `/written`, which is as large as is said here, and what tells of each body that ends.
    pub(super) fn new(size: usize) -> (Self, UnboundedSender<Result<Bytes, Broken>>, UnboundedReceiver<()>) {
        let (ended, endings) = unbounded_channel();
        let (writer, body) = body(size);
        (Self { written: Mutex::new(Some(body)), ended }, writer, endings)
    }
}

impl Respond for TestSite {
    type Body = TestBody;

    fn wants_body(&self, request: &Parts) -> bool {
        request.uri.path() == "/posted"
    }

    async fn respond(&self, request: &Parts, connection: &Connection) -> Response<TestBody> {
        let mut response = Response::new(match request.uri.path() {
            "/small" => filled(SMALL.len(), [Ok(Bytes::from_static(SMALL))]),
            "/large" => {
                let large = large();
                let frame = |start: usize| Ok(large.slice(start..(start + FRAME_SIZE).min(LARGE_SIZE)));
                filled(LARGE_SIZE, (0..LARGE_SIZE).step_by(FRAME_SIZE).map(frame))
            }
            "/huge" => filled(HUGE_FRAMES * FRAME_SIZE, (0..HUGE_FRAMES).map(|_| Ok(huge_frame()))),
            "/broken" => filled(100_000, [Ok(Bytes::from_static(&[7; 1000])), Err(Broken)]),
            "/posted" => match request.extensions.get::<RequestBody>() {
                Some(RequestBody::Whole(content)) => filled(content.len(), [Ok(content.clone())]),
                Some(RequestBody::Unread) | None => filled(0, []),
            },
            "/written" => self.written.lock().expect("no panic").take().expect("asked for once"),
            _ => filled(0, []),
        });
        response.body_mut().ended = Some(self.ended.clone());
        if request.uri.path() == "/none" {
            *response.status_mut() = StatusCode::NOT_FOUND;
        }
        let protocol = format!("{:?}", connection.protocol).parse().expect("a word");
        response.headers_mut().insert("protocol", protocol);
        response
    }

    fn refuse(&self, _: &Parts, _: &Connection, excess: Excess) -> Response<TestBody> {
        let mut response = Response::new(filled(0, []));
        *response.status_mut() = match excess {
            Excess::Target => StatusCode::URI_TOO_LONG,
            Excess::Head => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Excess::InFlight => StatusCode::SERVICE_UNAVAILABLE,
        };
        response
    }
}

/// More than the buffers of the kernel on both sides.
pub(super) const HUGE_FRAMES: usize = 1000;

fn huge_frame() -> Bytes {
    Bytes::from_static(&[1; FRAME_SIZE])
}

fn body(size: usize) -> (UnboundedSender<Result<Bytes, Broken>>, TestBody) {
    let (writer, frames) = unbounded_channel();
    (writer, TestBody { left: size as u64, frames, ended: None })
}

fn filled(size: usize, frames: impl IntoIterator<Item = Result<Bytes, Broken>>) -> TestBody {
    let (writer, body) = body(size);
    for frame in frames {
        writer.send(frame).expect("open");
    }
    body
}

impl Body for TestBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.frames.poll_recv(cx).map_ok(|bytes| {
            self.left -= bytes.len() as u64;
            Frame::data(bytes)
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

impl Drop for TestBody {
    fn drop(&mut self) {
        if let Some(ended) = &self.ended {
            // Nobody listens in most tests.
            let _ = ended.send(());
        }
    }
}
