//! What an edge is told: who it is, what each domain shows, and how fresh that is.
//!
//! Invariants: nothing is parsed before its signature or hash verifies; a pointer is taken only if its version is greater than the
//! one held; a revision is acknowledged only when everything that it names is verified, on disk, and shown by every worker.

mod announced;
mod apply;
mod asset;
mod backoff;
mod channel;
mod environment;
mod expelled;
mod footprint;
mod identity;
mod keys;
mod lease;
mod overwritten;
mod pages;
mod pings;
mod revoked;
mod rules;
mod secrets;
mod state;
#[cfg(test)]
pub(crate) mod testing;
mod trust;
mod watch;

pub(crate) use apply::Applier;
pub use asset::{Activity, Asset, Coding, Form, Modified, Representation};
pub(crate) use backoff::Backoff;
pub use channel::OriginChannel;
pub use environment::{Environment, Environments};
pub use expelled::Expelled;
pub use identity::{Identity, IdentityError, enrol, renew};
pub(crate) use keys::TrustedKeys;
pub use keys::{KeyChainError, key_chain};
pub use lease::Lease;
pub(crate) use overwritten::Overwritten;
pub(crate) use pings::Vitals;
pub use revoked::Revoked;
pub use rules::{Fit, Rules};
pub use secrets::Secrets;
pub use state::{StateError, StateFolder};
pub use trust::{Trust, TrustError};
pub use watch::{Watcher, WatcherStatus};

use std::sync::Arc;

/// What an edge was told so far, as far as answers depend on it.
#[derive(Debug, Clone)]
pub struct Told {
    /// What each domain shows.
    pub environments: Arc<Environments>,
    /// How fresh that is.
    pub lease: Arc<Lease>,
    /// What signatures are checked with.
    pub secrets: Arc<Secrets>,
}
