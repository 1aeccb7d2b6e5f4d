//! Where fills go: the origin, or whoever else speaks the fill service.

use super::hot::Named;
use crate::control::OriginChannel;
use futures_util::future::{BoxFuture, ready};
use futures_util::stream::{BoxStream, StreamExt};
use skerry_proto::wire;
use tonic::Code;

/// The messages of one fill.
pub type SliceStream = BoxStream<'static, Result<wire::FillResponse, UpstreamError>>;

/// Why an upstream gives nothing, or no more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// It has no such blob for this account.
    #[error("the upstream does not give this blob")]
    NotFound,
    /// It answers, but gives nothing now: it is busy, or cannot get the blob itself.
    #[error("the upstream declines: {0}")]
    Declined(String),
    /// It cannot be reached, or broke off.
    #[error("the upstream cannot be reached or broke off: {0}")]
    Unavailable(String),
}

/// Something that gives slices.
pub trait Upstream: Send + Sync {
    /// Opens a fill: one head, then the slices asked for, in order.
    fn open(&self, request: wire::FillRequest) -> BoxFuture<'_, Result<SliceStream, UpstreamError>>;

    /// What its clients ask for most; nothing where it does not say.
    fn hot(&self) -> BoxFuture<'_, Vec<Named>> {
        Box::pin(ready(Vec::new()))
    }

    /// Whether it can be reached, without a fill. Where that cannot be told, the next fill finds out.
    fn probe(&self) -> BoxFuture<'_, bool> {
        Box::pin(ready(true))
    }
}

/// The origin, over gRPC.
#[derive(Debug, Clone)]
pub struct OriginUpstream {
    channel: OriginChannel,
}

/// Bytes of one message at most: a slice, or the slice list of a blob of 1 TiB would be 128 MiB, which is over every limit that an
/// operator can set; this allows lists for 128 GiB.
pub(super) const MESSAGE_SIZE_MAX: usize = 16 << 20;

impl OriginUpstream {
    /// Fills from the origin behind this channel.
    pub fn new(channel: OriginChannel) -> Self {
        Self { channel }
    }
}

impl Upstream for OriginUpstream {
    fn open(&self, request: wire::FillRequest) -> BoxFuture<'_, Result<SliceStream, UpstreamError>> {
        Box::pin(async move {
            let mut client = wire::fill_client::FillClient::new(self.channel.current())
                .max_decoding_message_size(MESSAGE_SIZE_MAX);
            let stream = client.fill(request).await.map_err(error)?.into_inner();
            Ok(stream.map(|message| message.map_err(error)).boxed())
        })
    }
}

/// What a status says of the upstream that sent it, or that could not.
pub(super) fn error(status: tonic::Status) -> UpstreamError {
    match status.code() {
        Code::NotFound => UpstreamError::NotFound,
        Code::ResourceExhausted | Code::Aborted => UpstreamError::Declined(status.message().to_owned()),
        _ => UpstreamError::Unavailable(cause(&status)),
    }
}

/// The last cause is what people can act on, such as a refused connection.
fn cause(status: &tonic::Status) -> String {
    let mut cause: &dyn std::error::Error = status;
    while let Some(next) = cause.source() {
        cause = next;
    }
    if std::ptr::addr_eq(cause, status) { status.message().to_owned() } else { cause.to_string() }
}
