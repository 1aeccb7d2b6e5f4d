//! The REST API of an origin, over one connection that is kept.

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// A connection of one account.
#[derive(Debug)]
pub(crate) struct Rest {
    host: String,
    authorization: String,
    sender: SendRequest<Full<Bytes>>,
}

impl Rest {
    /// Connects to `http://address:port`.
    pub(crate) async fn open(url: &str, account_sid: &str, auth_token: &str) -> anyhow::Result<Self> {
        let host = url.strip_prefix("http://").with_context(|| format!("{url} is no http://ADDRESS:PORT"))?;
        let (sender, connection) = http1::handshake(TokioIo::new(TcpStream::connect(host).await?)).await?;
        tokio::spawn(connection);
        let authorization = format!("Basic {}", STANDARD.encode(format!("{account_sid}:{auth_token}")));
        Ok(Self { host: host.to_owned(), authorization, sender })
    }

    /// Reads something that is there: what it is, and how long the whole answer took.
    pub(crate) async fn get(&mut self, path: &str) -> anyhow::Result<(Value, Duration)> {
        self.send(Method::GET, path, String::new()).await
    }

    /// Sends a form that is accepted.
    pub(crate) async fn post(&mut self, path: &str, form: String) -> anyhow::Result<(Value, Duration)> {
        self.send(Method::POST, path, form).await
    }

    async fn send(&mut self, method: Method, path: &str, form: String) -> anyhow::Result<(Value, Duration)> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.host)
            .header(header::AUTHORIZATION, &self.authorization)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::new(Bytes::from(form)))?;
        let began = Instant::now();
        let (head, body) = self.sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        let took = began.elapsed();
        anyhow::ensure!(
            head.status.is_success(),
            "{path} answered {}: {}",
            head.status,
            String::from_utf8_lossy(&body)
        );
        Ok((serde_json::from_slice(&body)?, took))
    }
}
