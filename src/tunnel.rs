//! A proxy on loopback for one command: what it sends to Twilio's Serverless API goes to the REST API of an origin instead.
//!
//! Clients ask it to tunnel (`CONNECT`, RFC 9110 §9.3.6) to the two hosts of that API. It ends their TLS with a certificate of an
//! authority that lives as long as the command, and whose private key is never written; the bytes within go to the origin as they
//! are. Every other host is refused, so nothing of the command reaches Twilio by this way.

use crate::failure::Failure;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use skerry_proto::authority::{Authority, pem};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// The hosts that Twilio's clients call.
const HOSTS: [&str; 2] = ["serverless.twilio.com", "serverless-upload.twilio.com"];

/// How long the certificate is valid. A deployment takes minutes.
const LIFETIME: Duration = Duration::from_secs(86_400);

/// Connections at once; the toolkit uploads ten files at a time.
const CONNECTIONS_MAX: usize = 64;

/// Bytes of a request to the proxy at most, and time for it and for the handshake.
const HEAD_SIZE_MAX: usize = 8 << 10;
const HEAD_TIME_MAX: Duration = Duration::from_secs(10);

/// A bound proxy; nothing is accepted yet.
pub(crate) struct Tunnel {
    listener: TcpListener,
    address: SocketAddr,
    acceptor: TlsAcceptor,
    /// `host:port` of the REST API, which speaks plain HTTP.
    api: String,
    authority: CertificateDer<'static>,
}

impl Tunnel {
    /// Binds a free port of loopback, and makes the authority.
    ///
    /// # Errors
    /// When there is no port, or no randomness.
    pub(crate) async fn bind(api: String) -> Result<Self, Failure> {
        let now = SystemTime::now();
        let of = |error: &dyn std::error::Error| Failure::new(format!("cannot make a certificate: {error}"));
        let authority = Authority::generate("skerry twilio", now).map_err(|error| of(&error))?;
        let authority = Authority::new(&authority).map_err(|error| of(&error))?;
        let names = HOSTS.map(str::to_owned);
        let server = authority.issue_server(&names, now, LIFETIME).map_err(|error| of(&error))?;
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![server.certificate.clone()], server.private_key())
            .map_err(|error| of(&error))?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let authority = authority.certificate().clone();
        Ok(Self { listener, address, acceptor: TlsAcceptor::from(Arc::new(config)), api, authority })
    }

    /// What clients name as their proxy.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The certificate that clients have to trust.
    pub(crate) fn authority_pem(&self) -> String {
        pem("CERTIFICATE", &self.authority)
    }

    /// Tunnels until it is dropped; its connections end with it.
    pub(crate) async fn serve(self) {
        let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut open = JoinSet::new();
        loop {
            // Closed by nobody.
            let Ok(permit) = Arc::clone(&connections).acquire_owned().await else { return };
            let socket = tokio::select! {
                accepted = self.listener.accept() => accepted,
                Some(_) = open.join_next() => continue,
            };
            let Ok((socket, _)) = socket else { continue };
            let (acceptor, api) = (self.acceptor.clone(), self.api.clone());
            open.spawn(async move {
                let _permit = permit;
                if let Err(error) = tunnel(socket, &acceptor, &api).await {
                    tracing::debug!(%error, "a tunnel ended early");
                }
            });
        }
    }
}

async fn tunnel(mut socket: TcpStream, acceptor: &TlsAcceptor, api: &str) -> io::Result<()> {
    let asked = tokio::time::timeout(HEAD_TIME_MAX, head(&mut socket)).await??;
    if !is_ours(&asked) {
        let refusal = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        return socket.write_all(refusal.as_bytes()).await;
    }
    let mut origin = match TcpStream::connect(api).await {
        Ok(origin) => origin,
        Err(_) => {
            let refusal = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            return socket.write_all(refusal.as_bytes()).await;
        }
    };
    origin.set_nodelay(true)?;
    socket.set_nodelay(true)?;
    socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    let mut client = tokio::time::timeout(HEAD_TIME_MAX, acceptor.accept(socket)).await??;
    copy_bidirectional(&mut client, &mut origin).await.map(drop)
}

/// The head of a request to the proxy. Nothing comes after it before it is answered, so what is read is the head and no more.
async fn head(socket: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= HEAD_SIZE_MAX || socket.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    Ok(head)
}

/// Whether a head asks for a tunnel to a host of the API.
fn is_ours(head: &[u8]) -> bool {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    HOSTS.iter().any(|host| line.starts_with(format!("CONNECT {host}:443 HTTP/1.").as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hosts_of_the_api_are_tunnelled() {
        assert!(is_ours(b"CONNECT serverless.twilio.com:443 HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert!(is_ours(b"CONNECT serverless-upload.twilio.com:443 HTTP/1.1\r\n\r\n"));
        for other in [
            "CONNECT api.twilio.com:443 HTTP/1.1\r\n\r\n",
            "CONNECT serverless.twilio.com.evil.example:443 HTTP/1.1\r\n\r\n",
            "CONNECT serverless.twilio.com:80 HTTP/1.1\r\n\r\n",
            "GET http://serverless.twilio.com/ HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nX: CONNECT serverless.twilio.com:443 HTTP/1.1\r\n\r\n",
            "",
        ] {
            assert!(!is_ours(other.as_bytes()), "{other}");
        }
    }
}
