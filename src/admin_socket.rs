//! The admin socket of an edge: what changes state or names things, for the operator on the machine.
//!
//! HTTP/1.1 on a Unix socket of mode 0600 in the edge's data folder, which its owner alone can enter. Nothing is answered there but
//! what this file names.

use crate::failure::Failure;
use crate::listener::{self, Answer, text};
use crate::slot::EdgeSlot;
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use skerry_edge::cache::CorruptError;
use skerry_edge::fill::Which;
use skerry_edge::run::FaultError;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

/// Its name in the data folder.
const FILE: &str = "admin.sock";

/// Bytes of an answer that a command reads at most.
const ANSWER_SIZE_MAX: usize = 64 << 10;

/// Time for an answer; what is asked for may wait for a disk.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);

/// A bound socket; its file goes with it.
#[derive(Debug)]
pub(crate) struct AdminSocket {
    listener: UnixListener,
    path: PathBuf,
    faults: bool,
}

impl AdminSocket {
    /// Binds it in a data folder that this process has to itself. `faults` says whether damage on purpose is allowed. `None` where
    /// it cannot be bound, such as in a folder with a name of more than about 90 bytes: an edge serves without it.
    pub(crate) fn bind(data: &Path, faults: bool) -> Option<Self> {
        let path = data.join(FILE);
        // What a killed process left behind.
        let _ = fs::remove_file(&path);
        let bound = UnixListener::bind(&path).and_then(|listener| {
            fs::set_permissions(&path, Permissions::from_mode(0o600)).map(|()| listener)
        });
        match bound {
            Ok(listener) => Some(Self { listener, path, faults }),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "there is no admin socket");
                None
            }
        }
    }

    /// Answers about `edge` until `stop` is cancelled.
    pub(crate) async fn serve(self, edge: EdgeSlot, stop: CancellationToken) {
        let faults = self.faults;
        let answer = move |method: &Method, path: &str| {
            let (edge, method, path) = (edge.clone(), method.clone(), path.to_owned());
            async move { respond(&edge, faults, &method, &path).await }
        };
        listener::serve(&self.listener, answer, stop).await;
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        // A file that stays is removed at the next start.
        let _ = fs::remove_file(&self.path);
    }
}

async fn respond(edge: &EdgeSlot, faults: bool, method: &Method, path: &str) -> Answer {
    let Some((slice, asset)) = path.strip_prefix("/faults/corrupt/").and_then(|rest| rest.split_once('/'))
    else {
        return text(StatusCode::NOT_FOUND, "there is /faults/corrupt/SLICE/DOMAIN/PATH\n");
    };
    if *method != Method::POST {
        // RFC 9110 §15.5.6
        return Answer { allow: Some("POST"), ..text(StatusCode::METHOD_NOT_ALLOWED, "it takes POST\n") };
    }
    if !faults {
        return text(StatusCode::FORBIDDEN, "faults are off; admin.faults = true allows them\n");
    }
    let which = match (slice, slice.parse()) {
        ("all", _) => Which::All,
        (_, Ok(slice)) => Which::One(slice),
        (_, Err(_)) => return text(StatusCode::BAD_REQUEST, "a slice is a number from 0 on, or all\n"),
    };
    let (domain, path) = asset.split_at(asset.find('/').unwrap_or(asset.len()));
    let Some(corrupting) = edge.corrupt(domain, path, which) else {
        return text(StatusCode::SERVICE_UNAVAILABLE, "the edge does not serve\n");
    };
    match corrupting.await {
        Ok(1) => text(StatusCode::OK, "corrupted 1 slice on disk, and dropped it from memory\n"),
        Ok(count) => {
            text(StatusCode::OK, format!("corrupted {count} slices on disk, and dropped them from memory\n"))
        }
        Err(error) => {
            let status = match error {
                FaultError::NoSuchAsset | FaultError::Cache(CorruptError::NotHeld) => StatusCode::NOT_FOUND,
                FaultError::Cache(CorruptError::NoSuchSlice { .. }) => StatusCode::BAD_REQUEST,
                FaultError::Cache(CorruptError::NoDisk) => StatusCode::CONFLICT,
            };
            text(status, format!("{error}\n"))
        }
    }
}

/// Sends a command to the edge with this data folder; what it answers.
///
/// # Errors
/// When no edge answers, or it refuses.
pub(crate) async fn post(data: &Path, path: &str) -> Result<String, Failure> {
    let socket = data.join(FILE);
    let asked = tokio::time::timeout(ANSWER_TIME_MAX, ask(&socket, path)).await;
    let (status, said) = asked
        .map_err(|_| Failure::new(format!("{}: no answer in time", socket.display())))?
        .map_err(|error| {
            Failure::new(format!("no edge answers on {}: {error:#}", socket.display()))
                .hint("name the data folder of a running edge with --edge-data DIR")
        })?;
    if status.is_success() { Ok(said) } else { Err(Failure::new(said.trim_end().to_owned())) }
}

async fn ask(socket: &Path, path: &str) -> anyhow::Result<(StatusCode, String)> {
    let stream = UnixStream::connect(socket).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::post(path).header(header::HOST, "edge").body(Empty::<Bytes>::new())?;
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = Limited::new(body, ANSWER_SIZE_MAX).collect().await.map_err(anyhow::Error::from_boxed)?;
    Ok((head.status, String::from_utf8_lossy(&body.to_bytes()).into_owned()))
}
