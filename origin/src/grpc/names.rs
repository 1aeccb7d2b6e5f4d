//! The service for names: services, environments and domains of an account. Rules are in `publish`.

use super::Services;
use super::gate::{actor, caller};
use super::publish::target;
use super::status::{self, refusal};
use crate::catalogue::{
    DomainDetails, EnvironmentDetails, NamedEnvironment, NamedService, PageWanted, ServiceChange,
    ServiceDetails,
};
use crate::publish::{Naming, PublishError, Target};
use crate::sid::{AccountSid, EnvironmentSid};
use skerry_proto::domain::{record_name, record_value};
use skerry_proto::pointer::Version;
use skerry_proto::wire;
use skerry_proto::wire::names_server::Names;
use skerry_proto::wire::{
    CreateEnvironmentRequest, CreateEnvironmentResponse, CreateServiceRequest, DeleteEnvironmentRequest,
    DeleteServiceRequest, DomainRequest, DomainResponse, ListDomainsRequest, ListDomainsResponse,
    ListServicesRequest, ListServicesResponse, NamesChanged, ServiceResponse, UpdateServiceRequest,
};
use tonic::{Code, Request, Response, Status};

/// Domains that are listed: more than any environment may have.
const DOMAINS_LISTED_MAX: u32 = 1000;

pub(super) struct NamesService(pub(super) Services);

#[tonic::async_trait]
impl Names for NamesService {
    async fn list_services(
        &self,
        request: Request<ListServicesRequest>,
    ) -> Result<Response<ListServicesResponse>, Status> {
        let account = caller(&request)?.account;
        let services = self.0.catalogue.named_services(&account).await.map_err(status::of_catalogue)?;
        let services = services.into_iter().map(|service| self.0.named_service(service)).collect();
        Ok(Response::new(ListServicesResponse { services }))
    }

    async fn create_service(
        &self,
        request: Request<CreateServiceRequest>,
    ) -> Result<Response<ServiceResponse>, Status> {
        let actor = actor(&request)?;
        let CreateServiceRequest { unique_name, friendly_name, include_credentials, ui_editable } =
            request.into_inner();
        let settings =
            ServiceChange { friendly_name, include_credentials, ui_editable, ..ServiceChange::default() };
        let made = self.0.publisher.create_service(&actor, &unique_name, settings).await;
        self.0.service_response(&actor.account, made.map_err(status::of_publish)?).await
    }

    async fn update_service(
        &self,
        request: Request<UpdateServiceRequest>,
    ) -> Result<Response<ServiceResponse>, Status> {
        let actor = actor(&request)?;
        let UpdateServiceRequest { service, unique_name, friendly_name, include_credentials, ui_editable } =
            request.into_inner();
        let change = ServiceChange { unique_name, friendly_name, include_credentials, ui_editable };
        let service = self.0.named(&actor.account, &service).await?;
        let changed = self.0.publisher.update_service(&actor, &service.sid, change).await;
        self.0.service_response(&actor.account, changed.map_err(status::of_publish)?).await
    }

    async fn delete_service(
        &self,
        request: Request<DeleteServiceRequest>,
    ) -> Result<Response<NamesChanged>, Status> {
        let actor = actor(&request)?;
        let service = named_for_good("service", request.into_inner().service)?;
        let service = self.0.named(&actor.account, &service).await?;
        self.0.publisher.delete_service(&actor, &service.sid).await.map_err(status::of_publish)?;
        tracing::info!(
            account = actor.account.as_str(),
            service = service.sid.as_str(),
            "a service was deleted"
        );
        Ok(Response::new(changed(Some(self.0.catalogue.version()))))
    }

    async fn create_environment(
        &self,
        request: Request<CreateEnvironmentRequest>,
    ) -> Result<Response<CreateEnvironmentResponse>, Status> {
        let actor = actor(&request)?;
        let CreateEnvironmentRequest { service, unique_name, domain_suffix } = request.into_inner();
        let service = self.0.named(&actor.account, &service).await?;
        let suffix = Some(domain_suffix.as_str()).filter(|suffix| !suffix.is_empty());
        let made = self.0.publisher.create_environment(&actor, &service, &unique_name, suffix).await;
        let environment = made.map_err(status::of_publish)?;
        let environment = self.0.named_environment(NamedEnvironment { environment, aliases: Vec::new() });
        Ok(Response::new(CreateEnvironmentResponse { environment: Some(environment) }))
    }

    async fn delete_environment(
        &self,
        request: Request<DeleteEnvironmentRequest>,
    ) -> Result<Response<NamesChanged>, Status> {
        let actor = actor(&request)?;
        let mut target = target(request.into_inner().target);
        target.environment = named_for_good("environment", target.environment)?;
        let environment = self.0.target_environment(&actor.account, &target).await?;
        let sid = environment.sid.clone();
        self.0.publisher.delete_environment(&actor, environment).await.map_err(status::of_publish)?;
        tracing::info!(
            account = actor.account.as_str(),
            environment = sid.as_str(),
            "an environment was deleted"
        );
        Ok(Response::new(changed(Some(self.0.catalogue.version()))))
    }

    async fn list_domains(
        &self,
        request: Request<ListDomainsRequest>,
    ) -> Result<Response<ListDomainsResponse>, Status> {
        let account = caller(&request)?.account;
        let target = target(request.into_inner().target);
        let place = self.0.publisher.place(&account, &target).await.map_err(status::of_publish)?;
        let wanted = PageWanted { size: DOMAINS_LISTED_MAX, before: None, skip: 0 };
        let page = self.0.catalogue.list_domains(&place.environment.sid, &wanted).await;
        let domains = page.map_err(status::of_catalogue)?.items.into_iter();
        let naming = self.0.publisher.naming();
        let domains = domains.map(|row| domain(naming, &account, row)).collect();
        Ok(Response::new(ListDomainsResponse { domains }))
    }

    async fn add_domain(&self, request: Request<DomainRequest>) -> Result<Response<DomainResponse>, Status> {
        let actor = actor(&request)?;
        let DomainRequest { target: place, domain: name } = request.into_inner();
        let place =
            self.0.publisher.place(&actor.account, &target(place)).await.map_err(status::of_publish)?;
        let added = self.0.publisher.add_domain(&actor, &place.environment.sid, &name).await;
        let shown = domain(self.0.publisher.naming(), &actor.account, added.map_err(status::of_publish)?);
        Ok(Response::new(DomainResponse { domain: Some(shown), changed: Some(NamesChanged::default()) }))
    }

    async fn verify_domain(
        &self,
        request: Request<DomainRequest>,
    ) -> Result<Response<DomainResponse>, Status> {
        let actor = actor(&request)?;
        let row = self.0.domain(&actor.account, request.into_inner()).await?;
        let verified = self.0.publisher.verify_domain(&actor, row).await;
        let (row, version) = verified.map_err(status::of_publish)?;
        tracing::info!(account = actor.account.as_str(), domain = row.domain_name, "a domain is proven");
        let shown = domain(self.0.publisher.naming(), &actor.account, row);
        // One that was live already is waited for, too: an edge may not know it yet.
        let changed = changed(Some(version.unwrap_or_else(|| self.0.catalogue.version())));
        Ok(Response::new(DomainResponse { domain: Some(shown), changed: Some(changed) }))
    }

    async fn remove_domain(&self, request: Request<DomainRequest>) -> Result<Response<NamesChanged>, Status> {
        let actor = actor(&request)?;
        let row = self.0.domain(&actor.account, request.into_inner()).await?;
        let removed = self.0.publisher.remove_domain(&actor, row).await;
        Ok(Response::new(changed(removed.map_err(status::of_publish)?)))
    }
}

impl Services {
    /// The service that is named, or the only one there is.
    async fn named(&self, account: &AccountSid, name: &str) -> Result<ServiceDetails, Status> {
        self.publisher.service(account, name).await.map_err(status::of_publish)
    }

    async fn target_environment(
        &self,
        account: &AccountSid,
        target: &Target,
    ) -> Result<EnvironmentDetails, Status> {
        let place = self.publisher.place(account, target).await.map_err(status::of_publish)?;
        let sid: &EnvironmentSid = &place.environment.sid;
        let found = self.catalogue.environment(&place.service, sid.as_str()).await;
        found.map_err(status::of_catalogue)?.ok_or_else(|| {
            status::of_publish(PublishError::NotFound { noun: "environment", name: sid.to_string() })
        })
    }

    /// The domain that is named, of the environment that is.
    async fn domain(&self, account: &AccountSid, request: DomainRequest) -> Result<DomainDetails, Status> {
        let place = self.publisher.place(account, &target(request.target)).await;
        let place = place.map_err(status::of_publish)?;
        let found = self.publisher.domain(&place.environment.sid, &request.domain).await;
        found.map_err(status::of_publish)
    }

    async fn service_response(
        &self,
        account: &AccountSid,
        service: ServiceDetails,
    ) -> Result<Response<ServiceResponse>, Status> {
        let services = self.catalogue.named_services(account).await.map_err(status::of_catalogue)?;
        let now = services.into_iter().find(|one| one.service.sid == service.sid);
        let service = now.unwrap_or(NamedService { service, environments: Vec::new() });
        Ok(Response::new(ServiceResponse { service: Some(self.named_service(service)) }))
    }

    fn named_service(&self, named: NamedService) -> wire::NamedService {
        let NamedService { service, environments } = named;
        wire::NamedService {
            sid: service.sid.into(),
            unique_name: service.unique_name,
            friendly_name: service.friendly_name,
            include_credentials: service.include_credentials,
            ui_editable: service.ui_editable,
            domain_base: service.domain_base,
            created_at: service.created_at,
            updated_at: service.updated_at,
            environments: environments.into_iter().map(|one| self.named_environment(one)).collect(),
        }
    }

    fn named_environment(&self, named: NamedEnvironment) -> wire::NamedEnvironment {
        let NamedEnvironment { environment, aliases } = named;
        wire::NamedEnvironment {
            sid: environment.sid.into(),
            unique_name: environment.unique_name,
            domain_suffix: environment.domain_suffix.unwrap_or_default(),
            public_url: self.publisher.naming().public_url(&environment.domain_name),
            domain: environment.domain_name,
            build_sid: environment.live_build_sid.unwrap_or_default(),
            created_at: environment.created_at,
            aliases,
        }
    }
}

/// What is deleted is named, also where there is only one.
fn named_for_good(noun: &'static str, name: String) -> Result<String, Status> {
    if name.is_empty() {
        let message = format!("name the {noun} to delete");
        return Err(refusal(Code::InvalidArgument, "no_name", &message));
    }
    Ok(name)
}

fn domain(naming: &Naming, account: &AccountSid, row: DomainDetails) -> wire::Domain {
    wire::Domain {
        sid: row.sid.into(),
        public_url: naming.public_url(&row.domain_name),
        live: row.verified_at.is_some(),
        record_name: record_name(&row.domain_name),
        record_value: record_value(account.as_str()),
        domain_name: row.domain_name,
        created_at: row.created_at,
        verified_at: row.verified_at.unwrap_or_default(),
    }
}

fn changed(version: Option<Version>) -> NamesChanged {
    let Version { epoch, revision } = version.unwrap_or_default();
    NamesChanged { epoch, revision }
}
