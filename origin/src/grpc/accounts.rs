//! The service for what an account is, has, may have and did; what operators do with others' is here, too.

use super::Services;
use super::gate::{actor, caller};
use super::status::{self, refusal};
use crate::catalogue::{AccountChange, AccountDetails, AuditEntry, AuditFilter, PageWanted, Stored};
use crate::config::Limits;
use crate::credentials::Caller;
use crate::publish::{LimitChange, LimitsChange, LimitsOfService};
use crate::sid::{AccountSid, ServiceSid};
use skerry_proto::wire;
use skerry_proto::wire::accounts_server::Accounts;
use skerry_proto::wire::{
    GetAccountRequest, GetLimitsRequest, GetUsageRequest, GetUsageResponse, ListAuditLogRequest,
    ListAuditLogResponse, SetLimitsRequest, UpdateAccountRequest,
};
use tonic::{Code, Request, Response, Status};

/// Entries of a page of the audit log where nothing is said, and at most.
const PAGE_SIZE: u32 = 50;
const PAGE_SIZE_MAX: u32 = 1000;

pub(super) struct AccountsService(pub(super) Services);

#[tonic::async_trait]
impl Accounts for AccountsService {
    async fn get_account(
        &self,
        request: Request<GetAccountRequest>,
    ) -> Result<Response<wire::Account>, Status> {
        let caller = caller(&request)?;
        let account = self.visible(&caller, &request.get_ref().account_sid).await?;
        Ok(Response::new(account.into()))
    }

    async fn update_account(
        &self,
        request: Request<UpdateAccountRequest>,
    ) -> Result<Response<wire::Account>, Status> {
        let (caller, actor) = (caller(&request)?, actor(&request)?);
        let request = request.into_inner();
        let account = self.visible(&caller, &request.account_sid).await?.sid;
        let change = AccountChange { friendly_name: request.friendly_name, keys_only: request.keys_only };
        let changed = self.0.credentials.update_account(&actor, &account, change).await;
        Ok(Response::new(changed.map_err(status::of_credentials)?.into()))
    }

    async fn get_usage(
        &self,
        request: Request<GetUsageRequest>,
    ) -> Result<Response<GetUsageResponse>, Status> {
        let account = caller(&request)?.account;
        let name = &request.get_ref().service;
        let all = PageWanted { size: u32::MAX, before: None, skip: 0 };
        let services = self.0.catalogue.list_services(&account, &all).await.map_err(status::of_catalogue)?;
        let is_meant = |sid: &ServiceSid, unique_name: &str| {
            name.is_empty() || [sid.as_str(), unique_name].contains(&name.as_str())
        };
        let total = self.0.catalogue.account_usage(&account).await.map_err(status::of_catalogue)?;
        let mut usage = Vec::new();
        for service in services.items.into_iter().filter(|row| is_meant(&row.sid, &row.unique_name)) {
            usage.push(self.usage(service.sid, service.unique_name).await?);
        }
        if usage.is_empty() && !name.is_empty() {
            return Err(unknown("service", name));
        }
        Ok(Response::new(GetUsageResponse {
            stored: Some(total.stored.into()),
            services: total.services,
            api_keys: total.api_keys,
            usage,
        }))
    }

    async fn get_limits(
        &self,
        request: Request<GetLimitsRequest>,
    ) -> Result<Response<wire::ServiceLimits>, Status> {
        let (owner, service) = self.service(&caller(&request)?, &request.get_ref().service).await?;
        let limits = self.0.publisher.limits(&service).await.map_err(status::of_publish)?;
        Ok(Response::new(shown(owner, service, limits)))
    }

    async fn set_limits(
        &self,
        request: Request<SetLimitsRequest>,
    ) -> Result<Response<wire::ServiceLimits>, Status> {
        let (caller, actor) = (self.0.operator(&request)?, actor(&request)?);
        let request = request.into_inner();
        let (owner, service) = self.service(&caller, &request.service).await?;
        let change = LimitsChange {
            served_size_max: limit(request.served_size_max),
            served_count_max: limit(request.served_count_max),
            private_size_max: limit(request.private_size_max),
            private_count_max: limit(request.private_count_max),
        };
        let limits = self.0.publisher.set_limits(&actor, &owner, &service, change).await;
        let limits = limits.map_err(status::of_publish)?;
        tracing::info!(service = service.as_str(), "the limits of a service were set");
        Ok(Response::new(shown(owner, service, limits)))
    }

    async fn list_audit_log(
        &self,
        request: Request<ListAuditLogRequest>,
    ) -> Result<Response<ListAuditLogResponse>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let account = match request.account_sid.as_str() {
            "" if caller.is_operator => None,
            named => Some(self.visible(&caller, named).await?.sid),
        };
        let said = |text: String| Some(text).filter(|text| !text.is_empty());
        let filter = AuditFilter {
            account,
            action: said(request.action),
            subject: said(request.subject_sid),
            credential: said(request.credential),
            from: Some(request.from).filter(|from| *from != 0),
            until: Some(request.until).filter(|until| *until != 0),
        };
        let size = if request.page_size == 0 { PAGE_SIZE } else { request.page_size.min(PAGE_SIZE_MAX) };
        let wanted = PageWanted { size, before: Some(request.before).filter(|before| *before != 0), skip: 0 };
        let page = self.0.catalogue.list_audit_log(&filter, &wanted).await.map_err(status::of_catalogue)?;
        Ok(Response::new(ListAuditLogResponse {
            entries: page.items.into_iter().map(Into::into).collect(),
            next: page.next.unwrap_or_default(),
        }))
    }
}

impl AccountsService {
    /// An account that the caller may see: its own, which it need not name, or any for an operator.
    async fn visible(&self, caller: &Caller, named: &str) -> Result<AccountDetails, Status> {
        let sid = if named.is_empty() { caller.account.as_str() } else { named };
        let is_visible = caller.is_operator || sid == caller.account.as_str();
        let found = match is_visible {
            true => self.0.catalogue.account_details(sid).await.map_err(status::of_catalogue)?,
            false => None,
        };
        found.ok_or_else(|| unknown("account", sid))
    }

    /// A service with its owner: one's own, or any by SID for an operator.
    async fn service(&self, caller: &Caller, named: &str) -> Result<(AccountSid, ServiceSid), Status> {
        if caller.is_operator {
            let owner = self.0.catalogue.service_owner(named).await.map_err(status::of_catalogue)?;
            if let Some(owner) = owner {
                return Ok((owner, named.to_owned().into()));
            }
        }
        let service = self.0.publisher.own_service(&caller.account, named).await;
        Ok((caller.account.clone(), service.map_err(status::of_publish)?))
    }

    async fn usage(&self, service: ServiceSid, unique_name: String) -> Result<wire::ServiceUsage, Status> {
        let limits = self.0.publisher.limits(&service).await.map_err(status::of_publish)?.limits;
        let usage = self.0.catalogue.service_usage(&service).await.map_err(status::of_catalogue)?;
        let environments = usage.environments.into_iter().map(|environment| wire::EnvironmentUsage {
            environment_sid: environment.sid.into(),
            unique_name: environment.unique_name,
            build_sid: environment.build_sid.unwrap_or_default(),
            served_count: environment.served_count,
            private_count: environment.private_count,
        });
        Ok(wire::ServiceUsage {
            service_sid: service.into(),
            unique_name,
            stored: Some(usage.stored.into()),
            limits: Some(limits.into()),
            environments: environments.collect(),
        })
    }
}

fn unknown(noun: &str, name: &str) -> Status {
    refusal(Code::NotFound, "not_found", &format!("there is no {noun} {name:?} in this account"))
}

const fn limit(given: Option<u64>) -> LimitChange {
    match given {
        None => LimitChange::Keep,
        Some(0) => LimitChange::Default,
        Some(limit) => LimitChange::To(limit),
    }
}

fn shown(owner: AccountSid, service: ServiceSid, of: LimitsOfService) -> wire::ServiceLimits {
    let overridden = of.set.named().into_iter().filter(|(_, value)| value.is_some());
    wire::ServiceLimits {
        account_sid: owner.into(),
        service_sid: service.into(),
        limits: Some(of.limits.into()),
        overridden: overridden.map(|(name, _)| name.to_owned()).collect(),
    }
}

impl From<Limits> for wire::Limits {
    fn from(limits: Limits) -> Self {
        Self {
            served_size_max: limits.served_size_max,
            served_count_max: limits.served_count_max,
            private_size_max: limits.private_size_max,
            private_count_max: limits.private_count_max,
        }
    }
}

impl From<Stored> for wire::Stored {
    fn from(stored: Stored) -> Self {
        Self {
            bytes: stored.bytes,
            asset_versions: stored.asset_versions,
            function_versions: stored.function_versions,
        }
    }
}

impl From<AccountDetails> for wire::Account {
    fn from(account: AccountDetails) -> Self {
        Self {
            sid: account.sid.into(),
            friendly_name: account.friendly_name,
            is_operator: account.is_operator,
            keys_only: account.keys_only,
            created_at: account.created_at,
        }
    }
}

impl From<AuditEntry> for wire::AuditEntry {
    fn from(entry: AuditEntry) -> Self {
        Self {
            number: entry.number,
            account_sid: entry.account_sid.into(),
            credential: entry.credential,
            address: entry.address,
            action: entry.action,
            subject_sid: entry.subject_sid,
            detail: entry.detail.unwrap_or_default(),
            created_at: entry.created_at,
        }
    }
}
