//! Figures and probes of an admin listener, over plain HTTP/1.1.

use super::{block_on, eventually};
use anyhow::Context;
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// An admin listener.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures(SocketAddr);

impl Figures {
    /// From `http://address:port`.
    pub(crate) fn of(url: &str) -> Self {
        let address =
            url.strip_prefix("http://").and_then(|address| address.trim_end_matches('/').parse().ok());
        Self(address.unwrap_or_else(|| panic!("{url:?} is no http://ADDRESS:PORT")))
    }

    /// Status and content of a path.
    pub(crate) fn get(self, path: &str) -> anyhow::Result<(StatusCode, String)> {
        block_on(async {
            let stream = TcpStream::connect(self.0).await?;
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            let request =
                Request::get(path).header(header::HOST, self.0.to_string()).body(Empty::<Bytes>::new())?;
            let (parts, body) = sender.send_request(request).await?.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok((parts.status, String::from_utf8(body.to_vec()).context("UTF-8")?))
        })
    }

    /// Sum of the series of a name whose labels include these. Fails where there is none: all series exist from the start.
    #[track_caller]
    pub(crate) fn metric(self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let (_, text) = self.get("/metrics").expect("metrics");
        sum(&text, name, labels).unwrap_or_else(|| panic!("no series {name} with {labels:?} in\n{text}"))
    }

    /// Waits until a metric has a value.
    #[track_caller]
    pub(crate) fn until(self, name: &str, labels: &[(&str, &str)], right: impl Fn(f64) -> bool) -> f64 {
        eventually(&format!("{name} {labels:?}"), || {
            Some(self.metric(name, labels)).filter(|value| right(*value))
        })
    }

    /// Waits until it says that it is ready.
    #[track_caller]
    pub(crate) fn until_ready(self) {
        eventually("ready", || match self.get("/readyz") {
            Ok((StatusCode::OK, _)) => Some(()),
            _ => None,
        });
    }
}

fn sum(text: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let mut found = None;
    for line in text.lines() {
        let Some(rest) = line.strip_prefix(name) else { continue };
        let (line_labels, value) = match rest.strip_prefix('{') {
            Some(rest) => rest.split_once("} ")?,
            None => ("", rest.strip_prefix(' ').unwrap_or_default()),
        };
        let matches = labels.iter().all(|(key, value)| line_labels.contains(&format!("{key}=\"{value}\"")));
        if let (true, Ok(value)) = (matches, value.trim().parse::<f64>()) {
            found = Some(found.unwrap_or(0.0) + value);
        }
    }
    found
}
