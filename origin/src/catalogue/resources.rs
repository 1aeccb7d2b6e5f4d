//! What accounts have, as the REST API lists and changes it.
//!
//! Lists go newest first, page by page, by the number that a row got when it was added: what is added meanwhile moves nothing to
//! another page. Each change is one transaction with its entry in the audit log.

mod accounts;
pub(super) mod audit;
mod builds;
mod contents;
mod deployments;
pub(super) mod domains;
mod environments;
mod keys;
mod limits;
mod names;
mod page;
mod services;
mod usage;
mod variables;

pub(crate) use accounts::{AccountChange, AccountChanged, AccountDetails};
pub(crate) use audit::{Actor, AuditEntry, AuditFilter};
pub(crate) use builds::BuildDetails;
pub(crate) use contents::{Content, ContentVersion, Kind, NewContentVersion};
pub(crate) use deployments::DeploymentDetails;
pub(crate) use domains::{ClaimOutcome, DomainDetails, Holder};
pub(crate) use environments::{EnvironmentDetails, NewEnvironment};
pub(crate) use keys::{ApiKey, KeyRevoked};
pub(crate) use limits::ServiceLimits;
pub(crate) use names::{NamedEnvironment, NamedService};
pub(crate) use page::{Page, PageWanted};
pub(crate) use services::{ServiceChange, ServiceDetails};
pub(crate) use usage::{EnvironmentUsage, Stored};
pub(crate) use variables::Variable;
