//! The origin of Skerry: keeps blobs and the catalogue, takes publications, and tells edges what to show.
//!
//! In reading order:
//!
//! - `config`, `run`: how an origin is set up, and its life: open, bind, serve, stop
//! - `keys`, `secret`, `sid`, `metrics`: the cluster's keys, secrets, identifiers, figures
//! - `blobs`, `catalogue`: the bytes, and everything else that is known; `coding`: compressing them
//! - `dns`: questions to DNS, for the proofs of domains
//! - `credentials`, `throttle`: who accounts are, what they sign with, and how often a stranger may guess
//! - `publish`: what accounts may do with them; `edges`: who serves them
//! - `grpc`, `api`, `console`: how all of it is called; `sockets`, `basic`, `cause`: what both need
//!
//! Dependencies point one way: `console` → `api`; `grpc`, `api` → `publish`, `credentials`, `edges` → `blobs`, `catalogue` → `skerry_proto`.

mod api;
mod basic;
mod blobs;
mod catalogue;
mod cause;
mod coding;
mod config;
mod console;
mod credentials;
mod dns;
mod edges;
mod grpc;
mod keys;
mod metrics;
mod publish;
mod run;
mod secret;
mod sid;
mod sockets;
#[cfg(test)]
mod tests;
mod throttle;

pub use api::ApiError;
pub use blobs::BlobError;
pub use catalogue::CatalogueError;
pub use config::{
    ApiCertificate, ApiConfig, AuthLimits, CONNECTION_COUNT_MAX, Compression, ConsoleConfig, DomainConfig,
    EdgeRules, Levels, Limits, OriginConfig, PublishBounds, WarmBounds,
};
pub use credentials::Recovered;
pub use grpc::ServeError;
pub use keys::KeysError;
pub use publish::content_type::{LOOK_SIZE, choose as choose_content_type};
pub use publish::{NewAccount, apply_site_file};
pub use run::{BoundOrigin, Origin, OriginAddresses, OriginError};
pub use secret::NoRandomness;
pub use sockets::ListenError;
