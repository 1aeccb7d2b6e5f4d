//! An HTTP client for looking at one URL: HTTP/1.1, HTTP/2 or HTTP/3, with the certificate of a development server if need be.
//!
//! It answers the question "what does an edge say over this protocol"; it follows no redirects and keeps nothing.

mod quic;
mod tcp;
mod trust;
mod url;

pub(crate) use trust::Trust;
pub(crate) use url::Target;

use crate::failure::Failure;
use crate::output::{self, plain};
use bytes::Bytes;
use http::response::Parts;
use http::{Method, Request, Version, header};
use std::net::SocketAddr;
use std::time::Duration;

/// Time to connect to one address, handshake included.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// Time without a byte after which the server is given up.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// What is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/2 where the server offers it, else HTTP/1.1.
    Any,
    Http1,
    Http2,
    Http3,
}

/// A response whose body is still on its way.
pub(crate) struct Response {
    pub(crate) head: Parts,
    pub(crate) address: SocketAddr,
    body: Body,
    received: u64,
}

enum Body {
    Tcp(tcp::Body),
    Quic(Box<quic::Body>),
}

/// Nobody answers at an address, so another one of the same host may be better.
#[derive(Debug, thiserror::Error)]
#[error("cannot connect")]
struct Unreachable;

/// Asks for a URL. The next address of the host is tried only where nobody answers; who answers wrongly is reported.
///
/// # Errors
/// Names every address and what went wrong there.
pub(crate) async fn get(target: &Target, protocol: Protocol, trust: &Trust) -> Result<Response, Failure> {
    let mut faults = Vec::new();
    for address in target.addresses().await? {
        let answered = match protocol {
            Protocol::Http3 => {
                quic::get(target, address, trust).await.map(|(head, body)| (head, Body::Quic(Box::new(body))))
            }
            tcp => tcp::get(target, address, tcp, trust).await.map(|(head, body)| (head, Body::Tcp(body))),
        };
        match answered {
            Ok((head, body)) => return Ok(Response { head, address, body, received: 0 }),
            Err(error) => {
                let is_final = error.downcast_ref::<Unreachable>().is_none();
                faults.push(format!("{address}: {error:#}"));
                if is_final {
                    break;
                }
            }
        }
    }
    let (host, faults) = (target.host(), faults.join("; "));
    let faults = if faults.is_empty() { format!("{host} has no address") } else { faults };
    Err(Failure::new(format!("{target}: {faults}")))
}

impl Response {
    /// The next bytes of the body; `None` at its end. A body that is shorter than its announced length is an error.
    ///
    /// # Errors
    /// What went wrong on the way.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        let next = async {
            match &mut self.body {
                Body::Tcp(body) => body.chunk().await,
                Body::Quic(body) => body.chunk().await,
            }
        };
        let chunk = tokio::time::timeout(SILENCE_MAX, next)
            .await
            .map_err(|_| Failure::new(format!("no byte came for {} s", SILENCE_MAX.as_secs())))?
            .map_err(|error| {
                Failure::new(format!("the body broke off after {} bytes: {error:#}", self.received))
            })?;
        match &chunk {
            Some(bytes) => self.received += bytes.len() as u64,
            None => self.check_length()?,
        }
        Ok(chunk)
    }

    /// Shows protocol, status and headers on standard error, as they came.
    pub(crate) fn show_head(&self) {
        let status = self.head.status;
        output::note(format_args!("* {} from {}", name(self.head.version), self.address));
        output::note(format_args!("< {} {}", name(self.head.version), status));
        for (name, value) in &self.head.headers {
            output::note(format_args!("< {name}: {}", plain(&String::from_utf8_lossy(value.as_bytes()))));
        }
    }

    fn check_length(&self) -> Result<(), Failure> {
        let announced = self.head.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        match announced.and_then(|length| length.parse::<u64>().ok()) {
            Some(length) if length != self.received => {
                Err(Failure::new(format!("{length} bytes were announced, {} came", self.received)))
            }
            _ => Ok(()),
        }
    }
}

/// A request for a target.
fn request<B>(target: &Target, version: Version, body: B) -> anyhow::Result<Request<B>> {
    let mut builder = Request::builder()
        .method(Method::GET)
        .version(version)
        .header(header::USER_AGENT, concat!("skerry/", env!("CARGO_PKG_VERSION")))
        .header(header::ACCEPT, "*/*");
    builder = if version == Version::HTTP_11 {
        builder.uri(target.path_and_query()).header(header::HOST, target.authority())
    } else {
        builder.uri(format!("https://{}{}", target.authority(), target.path_and_query()))
    };
    Ok(builder.body(body)?)
}

fn name(version: Version) -> &'static str {
    match version {
        Version::HTTP_11 => "HTTP/1.1",
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_3 => "HTTP/3",
        _ => "HTTP",
    }
}
