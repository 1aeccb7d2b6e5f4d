//! Other edges, by hand: callers of a fill listener with any certificate, and a neighbour that lies.

use super::RUNTIME;
use super::fake_origin::Lie;
use super::grpc::EdgeCertificate;
use bytes::Bytes;
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use skerry_proto::hash::Hash;
use skerry_proto::wire;
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::Service;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status};

/// A channel to a fill listener that shows a certificate, or none. Whoever answers is believed.
pub(crate) fn peer_channel(address: &str, shown: Option<&EdgeCertificate>) -> Channel {
    let _runtime = RUNTIME.enter();
    let builder = ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Believer(rustls::crypto::aws_lc_rs::default_provider())));
    let mut config = match shown {
        None => builder.with_no_client_auth(),
        Some(shown) => builder
            .with_client_auth_cert(
                vec![shown.certificate.clone()],
                PrivateKeyDer::from(shown.key.clone_key()),
            )
            .expect("a certificate with its key"),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connector = Connector { config: Arc::new(config), address: address.to_owned() };
    Endpoint::from_static("http://edge.invalid").connect_with_connector_lazy(connector)
}

#[derive(Clone)]
struct Connector {
    config: Arc<ClientConfig>,
    address: String,
}

impl Service<http::Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Uri) -> Self::Future {
        let Self { config, address } = self.clone();
        Box::pin(async move {
            let tcp = TcpStream::connect(address).await?;
            let name = ServerName::try_from("edge.invalid").expect("a name");
            Ok(TokioIo::new(TlsConnector::from(config).connect(name, tcp).await?))
        })
    }
}

/// Believes everybody.
#[derive(Debug)]
struct Believer(rustls::crypto::CryptoProvider);

impl ServerCertVerifier for Believer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// An edge of the cluster that says of every blob what a test wants.
pub(crate) struct LyingEdge {
    address: SocketAddr,
    shared: Arc<Lying>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Lying {
    blobs: Mutex<HashMap<Hash, (Bytes, Lie)>>,
    asked: AtomicU64,
}

impl LyingEdge {
    /// With the certificate of an edge.
    pub(crate) fn start(own: &EdgeCertificate) -> Self {
        let _runtime = RUNTIME.enter();
        let mut config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![own.certificate.clone()], PrivateKeyDer::from(own.key.clone_key()))
            .expect("a certificate with its key");
        config.alpn_protocols = vec![b"h2".to_vec()];
        let listener = RUNTIME.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let address = listener.local_addr().expect("bound");
        let shared = Arc::new(Lying::default());
        let service = wire::fill_server::FillServer::new(Teller(Arc::clone(&shared)));
        let (accepted, connections) = tokio::sync::mpsc::channel(8);
        let server = RUNTIME.spawn(async move {
            let acceptor = TlsAcceptor::from(Arc::new(config));
            let serving =
                Server::builder().add_service(service).serve_with_incoming(ReceiverStream::new(connections));
            let accepting = async {
                while let Ok((tcp, _)) = listener.accept().await {
                    // A probe ends with its handshake.
                    if let Ok(tls) = acceptor.accept(tcp).await
                        && accepted.send(Ok::<_, io::Error>(tls)).await.is_err()
                    {
                        return;
                    }
                }
            };
            let (served, ()) = tokio::join!(serving, accepting);
            served.expect("serves");
        });
        Self { address, shared, server }
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// What it says of a blob.
    pub(crate) fn lie_about(&self, content: &Bytes, lie: Lie) {
        let hash = Hash::of(content);
        self.shared.blobs.lock().expect("no panic").insert(hash, (content.clone(), lie));
    }

    /// How often it was asked for one of its blobs.
    pub(crate) fn asked(&self) -> u64 {
        self.shared.asked.load(Ordering::Relaxed)
    }
}

impl Drop for LyingEdge {
    fn drop(&mut self) {
        self.server.abort();
    }
}

struct Teller(Arc<Lying>);

#[tonic::async_trait]
impl wire::fill_server::Fill for Teller {
    type FillStream = ReceiverStream<Result<wire::FillResponse, Status>>;

    async fn fill(&self, request: Request<wire::FillRequest>) -> Result<Response<Self::FillStream>, Status> {
        let request = request.into_inner();
        let hash = Hash::try_from(&request.hash[..]).map_err(|_| Status::invalid_argument("no hash"))?;
        let known = self.0.blobs.lock().expect("no panic").get(&hash).cloned();
        let (content, lie) = known.ok_or_else(|| Status::not_found("no such blob"))?;
        self.0.asked.fetch_add(1, Ordering::Relaxed);
        let (sender, responses) = tokio::sync::mpsc::channel(64);
        RUNTIME.spawn(async move {
            for message in lie.messages(content, request.first_slice, request.slice_count) {
                if sender.send(message).await.is_err() {
                    return;
                }
            }
            if lie == Lie::Silence {
                sender.closed().await;
            }
        });
        Ok(Response::new(ReceiverStream::new(responses)))
    }
}
