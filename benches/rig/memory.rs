//! Resident memory of `skerry edge` while clients stream a 100 MB asset over each protocol.

use crate::options::{Common, Memory};
use crate::report::MemoryReport;

/// Placeholder until the roles can be started apart.
pub(crate) async fn measure(_common: &Common, _options: &Memory) -> anyhow::Result<MemoryReport> {
    anyhow::bail!("not measured yet")
}
