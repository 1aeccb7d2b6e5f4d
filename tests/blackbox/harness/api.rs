//! The REST API, called by hand: what Twilio's clients do, and what nobody should.

use super::grpc::Account;
use super::{block_on, eventually};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// What separates the parts of an upload.
const BOUNDARY: &str = "parts-of-an-upload";

/// What parameters are sent as.
const FORM: &str = "application/x-www-form-urlencoded";

/// The API, and who calls it.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    address: SocketAddr,
    account: Account,
    headers: HeaderMap,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// `null` where there is none.
    pub(crate) body: Value,
}

/// A part of an upload: its name, further header fields, its content.
pub(crate) type Part<'a> = (&'a str, &'a str, &'a [u8]);

impl Api {
    /// From `http://address:port`.
    pub(crate) fn new(url: &str, account: Account) -> Self {
        let address = url.strip_prefix("http://").and_then(|address| address.parse().ok());
        let address = address.unwrap_or_else(|| panic!("{url:?} is no http://ADDRESS:PORT"));
        Self { address, account, headers: HeaderMap::new() }
    }

    /// The same for another account.
    pub(crate) fn of(&self, account: Account) -> Self {
        Self { account, ..self.clone() }
    }

    /// The same with a header field more.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, value.parse().expect("a header value"));
        self
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, "", Vec::new())
    }

    #[track_caller]
    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, "", Vec::new())
    }

    /// Calls by a method, with an empty body.
    #[track_caller]
    pub(crate) fn call(&self, method: &str, path: &str) -> Answer {
        self.send(method.to_uppercase().parse().expect("a method"), path, "", Vec::new())
    }

    /// The status of an answer, whatever its body is.
    #[track_caller]
    pub(crate) fn status(&self, method: &str, path: &str) -> u16 {
        let method = method.to_uppercase().parse().expect("a method");
        let answered = block_on(self.exchange(method, path, "", Vec::new()));
        answered.unwrap_or_else(|error| panic!("{path}: {error}")).0.status.as_u16()
    }

    /// Sends parameters as a form.
    #[track_caller]
    pub(crate) fn post(&self, path: &str, parameters: &[(&str, &str)]) -> Answer {
        self.send(Method::POST, path, FORM, form(parameters))
    }

    /// Makes something, which must succeed: its SID.
    #[track_caller]
    pub(crate) fn create(&self, path: &str, parameters: &[(&str, &str)]) -> String {
        let answer = self.post(path, parameters);
        assert_eq!(answer.status, 201, "{path}: {answer:?}");
        answer.text("/sid").to_owned()
    }

    /// Sends parts in this order.
    #[track_caller]
    pub(crate) fn upload(&self, path: &str, parts: &[Part<'_>]) -> Answer {
        let media_type = format!("multipart/form-data; boundary={BOUNDARY}");
        self.send(Method::POST, path, &media_type, Self::form(parts))
    }

    /// The body of an upload.
    pub(crate) fn form(parts: &[Part<'_>]) -> Vec<u8> {
        let mut body = Vec::new();
        for (name, fields, content) in parts {
            body.extend_from_slice(
                format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{fields}\r\n\r\n")
                    .as_bytes(),
            );
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        body
    }

    /// Makes an asset and a version of it: the SID of the version.
    #[track_caller]
    pub(crate) fn asset(&self, service: &str, path: &str, visibility: &str, content: &[u8]) -> String {
        let asset = self.create(&format!("/v1/Services/{service}/Assets"), &[("FriendlyName", path)]);
        let fields = "; filename=\"file\"\r\nContent-Type: text/plain";
        let parts: [Part<'_>; 3] = [
            ("Path", "", path.as_bytes()),
            ("Visibility", "", visibility.as_bytes()),
            ("Content", fields, content),
        ];
        let answer = self.upload(&format!("/v1/Services/{service}/Assets/{asset}/Versions"), &parts);
        assert_eq!(answer.status, 201, "{path}: {answer:?}");
        answer.text("/sid").to_owned()
    }

    /// Makes a build, and waits until it is completed or failed: its SID, and how it ended.
    #[track_caller]
    pub(crate) fn build(&self, service: &str, parameters: &[(&str, &str)]) -> (String, String) {
        let build = self.create(&format!("/v1/Services/{service}/Builds"), parameters);
        let status = self.built(service, &build);
        (build, status)
    }

    /// Waits until a build is completed or failed.
    #[track_caller]
    pub(crate) fn built(&self, service: &str, build: &str) -> String {
        eventually("the end of a build", || {
            let answer = self.get(&format!("/v1/Services/{service}/Builds/{build}/Status"));
            assert_eq!(answer.status, 200, "{answer:?}");
            Some(answer.text("/status").to_owned()).filter(|status| status != "building")
        })
    }

    /// Bytes that are there for this account, and the header fields that they come with.
    #[track_caller]
    pub(crate) fn download(&self, path: &str) -> (HeaderMap, Bytes) {
        let (parts, body) = block_on(self.exchange(Method::GET, path, "", Vec::new()))
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(parts.status, StatusCode::OK, "{path}");
        (parts.headers, body)
    }

    /// As [`Self::get`], for an API that may go away.
    pub(crate) fn attempt_get(&self, path: &str) -> anyhow::Result<Answer> {
        self.attempt(Method::GET, path, "", Vec::new())
    }

    /// As [`Self::post`], for an API that may go away.
    pub(crate) fn attempt_post(&self, path: &str, parameters: &[(&str, &str)]) -> anyhow::Result<Answer> {
        self.attempt(Method::POST, path, FORM, form(parameters))
    }

    /// As [`Self::upload`], for an API that may go away.
    pub(crate) fn attempt_upload(&self, path: &str, parts: &[Part<'_>]) -> anyhow::Result<Answer> {
        self.attempt(
            Method::POST,
            path,
            &format!("multipart/form-data; boundary={BOUNDARY}"),
            Self::form(parts),
        )
    }

    #[track_caller]
    fn send(&self, method: Method, path: &str, content_type: &str, body: Vec<u8>) -> Answer {
        let answer = self.attempt(method, path, content_type, body);
        answer.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn attempt(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> anyhow::Result<Answer> {
        let (parts, body) = block_on(self.exchange(method, path, content_type, body))?;
        let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body)? };
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> anyhow::Result<(Parts, Bytes)> {
        let stream = TcpStream::connect(self.address).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let basic = STANDARD.encode(format!("{}:{}", self.account.sid, self.account.token));
        // The absolute URLs of pages work as they are.
        let path = path.strip_prefix(&format!("http://{}", self.address)).unwrap_or(path);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.address.to_string())
            .header(header::AUTHORIZATION, format!("Basic {basic}"));
        if !content_type.is_empty() {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        let mut request = request.body(Full::new(Bytes::from(body)))?;
        request.headers_mut().extend(self.headers.clone());
        let (parts, body) = sender.send_request(request).await?.into_parts();
        Ok((parts, body.collect().await?.to_bytes()))
    }
}

fn form(parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(parameters);
    form.finish().into_bytes()
}

impl Answer {
    /// A text by JSON pointer.
    #[track_caller]
    pub(crate) fn text(&self, pointer: &str) -> &str {
        let value = self.body.pointer(pointer).and_then(Value::as_str);
        value.unwrap_or_else(|| panic!("no text {pointer} in {self:?}"))
    }

    /// Asserts a refusal in the form that clients print.
    #[track_caller]
    pub(crate) fn assert_refused(&self, status: u16, code: u64, words: &[&str]) {
        assert_eq!((self.status, self.body["status"].as_u64()), (status, Some(status.into())), "{self:?}");
        assert_eq!(self.body["code"].as_u64(), Some(code), "{self:?}");
        assert_eq!(self.text("/more_info"), format!("https://www.twilio.com/docs/errors/{code}"));
        for word in words {
            assert!(self.text("/message").contains(word), "{word:?} in {self:?}");
        }
    }
}
