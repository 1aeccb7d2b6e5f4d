//! Servers as child processes: started on free ports of 127.0.0.1 with data in a temporary folder, and ended with the rig.

mod caddy;
mod nginx;
mod process;
mod roles;
mod skerry;

pub(crate) use caddy::start as start_caddy;
pub(crate) use nginx::start as start_nginx;
pub(crate) use process::Process;
pub(crate) use roles::{RoleSettings, Roles};
pub(crate) use skerry::{DevLine, Skerry, run};

use crate::client::Target;
use anyhow::Context;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A server that answers.
#[derive(Debug)]
pub(crate) struct Server {
    /// What it is called in tables.
    pub(crate) name: &'static str,
    /// Its process; CPU counts with all descendants.
    pub(crate) process: Process,
    /// How to ask it.
    pub(crate) target: Target,
}

/// Time for a peer to answer.
const READY_TIME_MAX: Duration = Duration::from_secs(20);

/// Bytes of an admin listener's answer that are read.
const ANSWER_SIZE_MAX: u64 = 1 << 20;

/// Whether a program can be started at all.
pub(crate) fn is_installed(program: &Path, argument: &str) -> bool {
    Command::new(program).arg(argument).output().is_ok_and(|output| output.status.success())
}

/// An address that was free a moment ago, TCP and UDP. Peers cannot be told to pick one themselves.
fn free_address() -> anyhow::Result<SocketAddr> {
    for _ in 0..100 {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = tcp.local_addr()?;
        if UdpSocket::bind(address).is_ok() {
            return Ok(address);
        }
    }
    anyhow::bail!("no port of 127.0.0.1 is free for both TCP and UDP")
}

/// Waits until the admin listener at `address` says that its role is ready.
async fn wait_until_ready(process: &mut Process, address: SocketAddr) -> anyhow::Result<()> {
    let began = Instant::now();
    while !is_ready(address).await.unwrap_or(false) {
        process.check_running()?;
        anyhow::ensure!(began.elapsed() < READY_TIME_MAX, "{} is not ready in time", process.name());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

async fn is_ready(address: SocketAddr) -> std::io::Result<bool> {
    Ok(get(address, "/readyz").await?.starts_with("HTTP/1.1 200 "))
}

/// What an admin listener answers, head and content.
async fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_SIZE_MAX).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Waits until something accepts connections at `address`.
async fn wait_until_listening(process: &mut Process, address: SocketAddr) -> anyhow::Result<()> {
    let began = Instant::now();
    while tokio::net::TcpStream::connect(address).await.is_err() {
        process.check_running()?;
        anyhow::ensure!(began.elapsed() < READY_TIME_MAX, "{} does not listen in time", process.name());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    process.check_running().context("the port belongs to another process")
}
