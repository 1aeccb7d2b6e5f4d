//! The edge of Skerry: terminates HTTPS, decides what a request means, and serves it from memory, disk or an upstream.
//!
//! In reading order:
//!
//! - [`config`], [`run`]: how an edge is set up, and its life
//! - [`listen`]: from sockets to requests, and back; no policy
//! - [`serve`]: from a request to a response
//! - [`cache`]: slices in memory and on disk
//! - [`fill`]: what the cache misses, from an upstream
//! - [`give`]: the fill service of this edge, for other edges
//! - [`control`]: identity, the watch stream, and what each domain shows
//! - [`network`], [`metrics`], `vitals`: networks of peers, every figure of an edge, and those that the origin is told

pub mod cache;
pub mod config;
pub mod control;
pub mod fill;
pub mod give;
pub mod listen;
pub mod metrics;
pub mod network;
pub mod run;
pub mod serve;
mod vitals;
mod warm_up;
