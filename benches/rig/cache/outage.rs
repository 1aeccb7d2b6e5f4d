//! An origin that is away: everything that the edge holds is asked for, the edge is restarted, and all of it is asked for again.

use super::stock::{HOT, LARGE, Stock, path_of};
use crate::client::Connection;
use crate::selection::Protocol;
use crate::servers::{Roles, Skerry};
use std::path::Path;

/// Large files that are asked for, before and after the restart.
const LARGE_FILES: usize = 10;

/// What became of the requests.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Outage {
    pub(super) requests: u64,
    pub(super) failed: u64,
}

/// Stops the origin for good.
pub(super) async fn measure(
    roles: &mut Roles,
    skerry: &Skerry,
    folder: &Path,
    stock: &Stock,
) -> anyhow::Result<Outage> {
    let mut outage = Outage::default();
    roles.stop_origin().await?;
    load(roles, stock, &mut outage).await?;
    roles.restart_edge(skerry, folder).await?;
    roles.until_edge_listens().await?;
    load(roles, stock, &mut outage).await?;
    Ok(outage)
}

async fn load(roles: &Roles, stock: &Stock, outage: &mut Outage) -> anyhow::Result<()> {
    let cold = (0..stock.cold.len() as u64).map(|number| (path_of("cold", number), super::stock::SLICE));
    let large = stock.large.iter().take(LARGE_FILES).map(|path| (path.clone(), LARGE));
    let files: Vec<_> = cold.chain(large).chain([(path_of("hot", 0), HOT)]).collect();
    for protocol in Protocol::ALL {
        let mut connection = Connection::open(&roles.edge.target, protocol).await?;
        for (path, size) in &files {
            let request = roles.edge.target.request(protocol, path)?;
            outage.requests += 1;
            if let Err(error) = connection.fetch_exactly(request, *size, &mut |_| ()).await {
                outage.failed += 1;
                eprintln!("while the origin is away, {path} over {}: {error:#}", protocol.token());
                connection = Connection::open(&roles.edge.target, protocol).await?;
            }
        }
    }
    Ok(())
}
