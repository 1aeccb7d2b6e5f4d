//! One client for the three protocols, so that a test is written once for all of them.

use crate::serve::Protocol;
use bytes::{Buf, Bytes};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{Endpoint, TransportConfig};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, SupportedProtocolVersion};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(super) const PROTOCOLS: [Protocol; 3] = [Protocol::Http1, Protocol::Http2, Protocol::Http3];

pub(super) type Fault = Box<dyn std::error::Error + Send + Sync>;

type H3Requests = h3::client::SendRequest<h3_quinn::OpenStreams, Bytes>;
type H3Stream = h3::client::RequestStream<h3_quinn::BidiStream<Bytes>, Bytes>;

/// A connection.
pub(super) struct Client {
    requests: Requests,
    /// Ends with the connection.
    driver: JoinHandle<()>,
    /// Of HTTP/3, to change its port.
    pub(super) endpoint: Option<Endpoint>,
}

enum Requests {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
    Http3(H3Requests),
}

/// The head of a response, and its body as it comes.
pub(super) struct Answer {
    pub(super) head: Response<()>,
    body: AnswerBody,
}

enum AnswerBody {
    Hyper(hyper::body::Incoming),
    Http3(Box<H3Stream>),
}

pub(super) fn tls(
    authority: &CertificateDer<'static>,
    alpn: &[u8],
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.clone()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("known versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    config
}

pub(super) async fn connect_tls(
    address: SocketAddr,
    config: ClientConfig,
) -> Result<TlsStream<TcpStream>, Fault> {
    handshake(TcpStream::connect(address).await?, config).await
}

/// A connection of a client that has room for next to nothing that it has not read.
pub(super) async fn connect_tls_with_little_room(
    address: SocketAddr,
    config: ClientConfig,
) -> Result<TlsStream<TcpStream>, Fault> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(8 << 10)?;
    handshake(socket.connect(address).await?, config).await
}

async fn handshake(stream: TcpStream, config: ClientConfig) -> Result<TlsStream<TcpStream>, Fault> {
    let name = ServerName::try_from("localhost").expect("a name");
    Ok(TlsConnector::from(Arc::new(config)).connect(name, stream).await?)
}

/// A QUIC connection, for what no client library does over it.
pub(super) async fn connect_quic(
    address: SocketAddr,
    authority: &CertificateDer<'static>,
    transport: TransportConfig,
) -> Result<(Endpoint, quinn::Connection), Fault> {
    let tls = QuicClientConfig::try_from(tls(authority, b"h3", &[&rustls::version::TLS13]))?;
    let mut config = quinn::ClientConfig::new(Arc::new(tls));
    config.transport_config(Arc::new(transport));
    let endpoint = Endpoint::client("127.0.0.1:0".parse().expect("an address"))?;
    let connection = endpoint.connect_with(config, address, "localhost")?.await?;
    Ok((endpoint, connection))
}

impl Client {
    pub(super) async fn connect(
        address: SocketAddr,
        authority: &CertificateDer<'static>,
        protocol: Protocol,
    ) -> Result<Self, Fault> {
        match protocol {
            Protocol::Http1 => {
                let config = tls(authority, b"http/1.1", rustls::DEFAULT_VERSIONS);
                let stream = connect_tls(address, config).await?;
                let (requests, connection) = http1::handshake(TokioIo::new(stream)).await?;
                let driver = tokio::spawn(async { drop(connection.await) });
                Ok(Self { requests: Requests::Http1(requests), driver, endpoint: None })
            }
            Protocol::Http2 => {
                let config = tls(authority, b"h2", rustls::DEFAULT_VERSIONS);
                let stream = connect_tls(address, config).await?;
                let (requests, connection) =
                    http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
                let driver = tokio::spawn(async { drop(connection.await) });
                Ok(Self { requests: Requests::Http2(requests), driver, endpoint: None })
            }
            Protocol::Http3 => Self::connect_http3(address, authority).await,
        }
    }

    async fn connect_http3(address: SocketAddr, authority: &CertificateDer<'static>) -> Result<Self, Fault> {
        let (endpoint, connection) = connect_quic(address, authority, TransportConfig::default()).await?;
        let (mut driver, requests) = h3::client::new(h3_quinn::Connection::new(connection)).await?;
        let driver = tokio::spawn(async move {
            std::future::poll_fn(|cx| driver.poll_close(cx)).await;
        });
        Ok(Self { requests: Requests::Http3(requests), driver, endpoint: Some(endpoint) })
    }

    /// Sends a request, and waits for the head of the response.
    pub(super) async fn request(&mut self, method: Method, path: &str, body: Bytes) -> Result<Answer, Fault> {
        self.send(Request::builder().method(method), path, body).await
    }

    /// Starts a GET with a field.
    pub(super) async fn get_with(&mut self, path: &str, name: &str, value: &str) -> Result<Answer, Fault> {
        self.send(Request::builder().header(name, value), path, Bytes::new()).await
    }

    async fn send(
        &mut self,
        request: http::request::Builder,
        path: &str,
        body: Bytes,
    ) -> Result<Answer, Fault> {
        let request = request.header("host", "localhost");
        let hyper = |target: &str| request.uri(target).body(Full::new(body.clone()));
        let target = format!("https://localhost{path}");
        let response = match &mut self.requests {
            Requests::Http1(requests) => requests.send_request(hyper(path)?).await?,
            Requests::Http2(requests) => requests.send_request(hyper(&target)?).await?,
            Requests::Http3(requests) => {
                let (head, _) = hyper(&target)?.into_parts();
                let mut stream = requests.send_request(Request::from_parts(head, ())).await?;
                if !body.is_empty() {
                    stream.send_data(body).await?;
                }
                stream.finish().await?;
                let head = stream.recv_response().await?;
                return Ok(Answer { head, body: AnswerBody::Http3(Box::new(stream)) });
            }
        };
        let (head, body) = response.into_parts();
        Ok(Answer { head: Response::from_parts(head, ()), body: AnswerBody::Hyper(body) })
    }

    /// Starts a GET.
    pub(super) async fn get(&mut self, path: &str) -> Result<Answer, Fault> {
        self.request(Method::GET, path, Bytes::new()).await
    }

    /// Waits until the connection has ended.
    pub(super) async fn closed(self) {
        // The requests handle is kept until then: dropped, it would end the connection from this side.
        self.driver.await.expect("no panic");
        drop(self.requests);
    }
}

impl Answer {
    /// The next bytes of the body; `None` at its end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        match &mut self.body {
            AnswerBody::Hyper(body) => match body.frame().await {
                Some(frame) => Ok(frame?.into_data().ok()),
                None => Ok(None),
            },
            AnswerBody::Http3(stream) => {
                let data = stream.recv_data().await?;
                Ok(data.map(|mut data| data.copy_to_bytes(data.remaining())))
            }
        }
    }

    /// So many bytes of the body, or more, or all that there are.
    pub(super) async fn read(&mut self, size_min: usize) -> Result<Vec<u8>, Fault> {
        let mut bytes = Vec::new();
        while bytes.len() < size_min {
            let Some(more) = self.next().await? else { break };
            bytes.extend_from_slice(&more);
        }
        Ok(bytes)
    }

    /// All of the body.
    pub(super) async fn all(mut self) -> Result<Vec<u8>, Fault> {
        self.read(usize::MAX).await
    }
}
