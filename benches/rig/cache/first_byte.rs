//! How soon the first byte comes: of a miss, beside a bare gRPC client that fetches the same slice, and of something that is on disk
//! after a restart.

use super::stock::{LARGE, SLICE, Stock, path_of};
use crate::bare::BareClient;
use crate::client::{Connection, Target};
use crate::selection::Protocol;
use crate::servers::{Roles, Skerry};
use anyhow::Context;
use std::path::Path;
use std::time::{Duration, Instant};

/// Time for a restarted edge to answer at all; a guard, not a mark.
const RESTART_TIME_MAX: Duration = Duration::from_secs(60);

/// Times to the first byte, in pairs.
#[derive(Debug, Default)]
pub(super) struct FirstBytes {
    /// Of a miss at the edge.
    pub(super) edge: Vec<Duration>,
    /// Of the same file again, which then is in memory: what of it is HTTP and TLS.
    pub(super) memory: Vec<Duration>,
    /// Of the bare client.
    pub(super) bare: Vec<Duration>,
}

/// Cold files of one slice, each asked for once at the edge and once by the bare client, who goes first in turn.
pub(super) async fn of_misses(skerry: &Skerry, roles: &Roles, stock: &Stock) -> anyhow::Result<FirstBytes> {
    let bare = BareClient::enrol(&roles.grpc_url(), &roles.join_token(skerry)?, roles.account_sid()).await?;
    let target = &roles.edge.target;
    let mut edge = Connection::open(target, Protocol::H2).await?;
    let mut times = FirstBytes::default();
    for (number, hash) in (0..).zip(&stock.cold) {
        if number % 2 == 0 {
            times.bare.push(bare.first_slice(*hash).await?);
        }
        times.edge.push(first_byte(&mut edge, target, &path_of("cold", number), SLICE, "miss").await?);
        if number % 2 == 1 {
            times.bare.push(bare.first_slice(*hash).await?);
        }
        times.memory.push(first_byte(&mut edge, target, &path_of("cold", number), SLICE, "memory").await?);
    }
    Ok(times)
}

/// From the start of the process to the first byte of something that is on its disk.
pub(super) async fn after_restart(
    roles: &mut Roles,
    skerry: &Skerry,
    folder: &Path,
    stock: &Stock,
) -> anyhow::Result<Duration> {
    let began = roles.restart_edge(skerry, folder).await?;
    let target = &roles.edge.target;
    let path = stock.large.last().context("at least one large file")?;
    loop {
        // Refused until the sockets are bound.
        if let Ok(mut connection) = Connection::open(target, Protocol::H2).await {
            let before = began.elapsed();
            return Ok(before + first_byte(&mut connection, target, path, LARGE, "disk").await?);
        }
        anyhow::ensure!(began.elapsed() < RESTART_TIME_MAX, "the edge does not come back");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn first_byte(
    connection: &mut Connection,
    target: &Target,
    path: &str,
    size: u64,
    from: &str,
) -> anyhow::Result<Duration> {
    let request = target.request(Protocol::H2, path)?;
    let (began, mut first) = (Instant::now(), None);
    let head = connection
        .fetch_exactly(request, size, &mut |_| _ = first.get_or_insert_with(|| began.elapsed()))
        .await?;
    let is_right = if from == "miss" { head.says_miss() } else { head.says_hit_in(from) };
    anyhow::ensure!(is_right, "{path} did not come from {from}: {:?}", head.headers);
    first.context("no byte came")
}
