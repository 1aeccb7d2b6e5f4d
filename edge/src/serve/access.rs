//! May this asset be had by this request, now?

use super::refuse::Refusal;
use crate::control::{Asset, Environment, Lease};
use http::request::Parts;
use skerry_proto::visibility::Visibility;

/// Checks visibility, and past the lease the environment's rule.
pub(super) fn check(
    environment: &Environment,
    asset: &Asset,
    lease: &Lease,
    _request: &Parts,
) -> Result<(), Refusal> {
    match asset.visibility {
        Visibility::Public => is_fresh(environment, lease),
        // No request carries a proof that this edge can check, so none is allowed.
        Visibility::Protected => Err(Refusal::Forbidden),
        // No manifest names a private asset.
        Visibility::Private => Err(Refusal::NotFound),
    }
}

/// Checks whether what everybody may see counts now; what is not there, too, is said only while that is known.
pub(super) fn is_fresh(environment: &Environment, lease: &Lease) -> Result<(), Refusal> {
    if lease.allows(environment.access.public_stale) { Ok(()) } else { Err(Refusal::LeaseOver) }
}
