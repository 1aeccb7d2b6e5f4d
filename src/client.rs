//! The commands' side of the origin's gRPC: which origin, with which credentials, and what its refusals mean.

mod contents;
mod known;
mod live;
mod locate;
mod look;
mod progress;
mod publish;
mod status;
mod warm;

pub(crate) use contents::{Content, NamingRule, Plan, PlannedFile, plan};
pub(crate) use live::{LiveEdge, all_live, wait_live, watch_live};
pub(crate) use locate::{
    AskOptions, CA_FILE, CREDENTIALS_FILE, Credentials, DATA_DEFAULT, OriginOptions, Place, RUNNING_FILE,
    Running, RunningEdge, URL_KEY_FILE, account, api, read_json, trusted_certificate,
};
pub(crate) use look::{Warning, look};
pub(crate) use progress::Progress;
pub(crate) use publish::{Published, PublishedAsset, Sending, check, publish, version};
pub(crate) use status::explain;
pub(crate) use warm::{Coming, WarmEdge, WarmOption, warm};

use crate::environment::Environment;
use crate::failure::{Failure, chain};
use crate::output;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use skerry_proto::wire;
use std::time::Duration;
use tonic::Request;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

/// Time to connect, handshake included.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);

/// A download of one asset fills a line of 1 Gbit/s at 30 ms with this.
const WINDOW_SIZE: u32 = 4 << 20;

/// A connected origin, and who asks.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    channel: Channel,
    authorization: MetadataValue<Ascii>,
    place: Place,
}

impl Client {
    /// Finds the origin by options, environment or data folder, and connects.
    ///
    /// # Errors
    /// What is missing, or which address does not answer.
    pub(crate) async fn connect(options: &OriginOptions, environment: &Environment) -> Result<Self, Failure> {
        Self::to(locate::place(options, environment)?).await
    }

    /// Connects to a known origin.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub(crate) async fn to(place: Place) -> Result<Self, Failure> {
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&place.ca_pem));
        let endpoint =
            Endpoint::from_shared(place.grpc.clone()).and_then(|endpoint| endpoint.tls_config(tls)).map_err(
                |error| Failure::usage(format!("cannot use the origin {}: {}", place.grpc, chain(&error))),
            )?;
        let endpoint = endpoint
            .connect_timeout(CONNECT_TIME_MAX)
            .initial_stream_window_size(WINDOW_SIZE)
            .initial_connection_window_size(4 * WINDOW_SIZE)
            .http2_keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(20));
        let channel = endpoint.connect().await.map_err(|error| status::no_connection(&place, &error))?;
        let basic =
            STANDARD.encode(format!("{}:{}", place.credentials.account_sid, place.credentials.auth_token));
        let mut authorization = MetadataValue::try_from(format!("Basic {basic}"))
            .map_err(|_| Failure::usage("account SID and auth token do not fit a header"))?;
        authorization.set_sensitive(true);
        Ok(Self { channel, authorization, place })
    }

    /// Says on standard error which origin is about to change.
    pub(crate) fn announce(&self) {
        let Place { grpc, credentials, .. } = &self.place;
        output::note(format_args!("origin {grpc}, account {}", credentials.account_sid));
    }

    /// Where this client talks to.
    pub(crate) const fn place(&self) -> &Place {
        &self.place
    }

    /// Service and environment that commands are about.
    pub(crate) fn target(&self) -> wire::Target {
        wire::Target { service: self.place.service.clone(), environment: self.place.environment.clone() }
    }

    /// A message with the credentials.
    pub(crate) fn signed<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.authorization.clone());
        request
    }

    /// The service for publishers.
    pub(crate) fn publishing(&self) -> wire::publish_client::PublishClient<Channel> {
        wire::publish_client::PublishClient::new(self.channel.clone())
    }

    /// The service for an account's keys.
    pub(crate) fn keys(&self) -> wire::keys_client::KeysClient<Channel> {
        wire::keys_client::KeysClient::new(self.channel.clone())
    }

    /// The service for what an account is, has, may have and did.
    pub(crate) fn accounts(&self) -> wire::accounts_client::AccountsClient<Channel> {
        wire::accounts_client::AccountsClient::new(self.channel.clone())
    }

    /// The service for services, environments and domains.
    pub(crate) fn naming(&self) -> wire::names_client::NamesClient<Channel> {
        wire::names_client::NamesClient::new(self.channel.clone()).max_decoding_message_size(LIST_SIZE_MAX)
    }

    /// The service for purges.
    pub(crate) fn purging(&self) -> wire::purges_client::PurgesClient<Channel> {
        wire::purges_client::PurgesClient::new(self.channel.clone()).max_decoding_message_size(LIST_SIZE_MAX)
    }

    /// The service for the operator.
    pub(crate) fn operating(&self) -> wire::operator_client::OperatorClient<Channel> {
        wire::operator_client::OperatorClient::new(self.channel.clone())
    }

    /// What the origin's refusal means to the user of this client.
    pub(crate) fn refused(&self, status: &tonic::Status) -> Failure {
        explain(&self.place, status)
    }

    /// What is live in an environment.
    ///
    /// # Errors
    /// The origin's refusal.
    pub(crate) async fn list(&self, target: wire::Target) -> Result<wire::ListResponse, Failure> {
        let request = self.signed(wire::ListRequest { target: Some(target) });
        let listed = self.publishing().max_decoding_message_size(LIST_SIZE_MAX).list(request).await;
        Ok(listed.map_err(|status| self.refused(&status))?.into_inner())
    }

    /// The environment that commands are about, with its settings.
    ///
    /// # Errors
    /// The origin's refusal, or what has to be named.
    pub(crate) async fn environment(&self) -> Result<wire::Environment, Failure> {
        let request = self.signed(wire::DescribeRequest {});
        let described = self.publishing().describe(request).await;
        let services = described.map_err(|status| self.refused(&status))?.into_inner().services;
        let Place { service, environment, .. } = &self.place;
        let service = only("service", services, service, |one| [&one.sid, &one.unique_name])?;
        only("environment", service.environments, environment, |one| [&one.sid, &one.unique_name])
    }

    /// Changes what is live: one build, one deployment.
    ///
    /// # Errors
    /// The origin's refusal.
    pub(crate) async fn commit(
        &self,
        version_sids: Vec<String>,
        removed_paths: Vec<String>,
    ) -> Result<wire::CommitResponse, Failure> {
        let request = wire::CommitRequest { target: Some(self.target()), version_sids, removed_paths };
        let committed = self.publishing().commit(self.signed(request)).await;
        Ok(committed.map_err(|status| self.refused(&status))?.into_inner())
    }

    /// Makes a build live that was made before.
    ///
    /// # Errors
    /// The origin's refusal.
    pub(crate) async fn deploy(
        &self,
        build: wire::deploy_request::Build,
    ) -> Result<wire::CommitResponse, Failure> {
        let request = wire::DeployRequest { target: Some(self.target()), build: Some(build) };
        let deployed = self.publishing().deploy(self.signed(request)).await;
        Ok(deployed.map_err(|status| self.refused(&status))?.into_inner())
    }
}

/// The thing that `name` names, or the only one there is.
///
/// # Errors
/// What has to be named, or is not there.
pub(crate) fn only<T>(
    noun: &str,
    things: Vec<T>,
    name: &str,
    names: impl Fn(&T) -> [&String; 2],
) -> Result<T, Failure> {
    let is_meant = |thing: &T| name.is_empty() || names(thing).into_iter().any(|known| known == name);
    let mut meant: Vec<T> = things.into_iter().filter(is_meant).collect();
    match (meant.pop(), meant.len()) {
        (Some(thing), 0) => Ok(thing),
        (Some(_), others) => {
            Err(Failure::usage(format!("there are {} {noun}s; name one with --{noun}", others + 1)))
        }
        (None, _) => Err(Failure::new(format!("there is no {noun} {name:?} in this account"))),
    }
}

/// A list of many thousand assets is larger than tonic takes by default (4 MiB).
const LIST_SIZE_MAX: usize = 64 << 20;
