//! The origin of Skerry: keeps blobs and the catalogue, takes publications, and tells edges what to show.

mod config;
mod run;

pub use config::{Limits, OriginConfig};
pub use run::{BoundOrigin, NewAccount, Origin, OriginAddresses, OriginError};
