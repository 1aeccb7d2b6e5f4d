//! May this asset be had by this request, now?

use super::respond::Refusal;
use crate::control::{Asset, Environment, Lease};
use skerry_proto::visibility::Visibility;

/// Checks visibility, and past the lease the environment's rule.
pub(super) fn check(environment: &Environment, asset: &Asset, lease: &Lease) -> Result<(), Refusal> {
    let rule = match asset.visibility {
        Visibility::Public => environment.access.public_stale,
        // No request carries a proof that this edge can check, so none is allowed.
        Visibility::Protected => return Err(Refusal::Forbidden),
        // No manifest names a private asset.
        Visibility::Private => return Err(Refusal::NotFound),
    };
    if lease.allows(rule) { Ok(()) } else { Err(Refusal::LeaseOver) }
}
