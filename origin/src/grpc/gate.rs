//! The gate before services for accounts: who calls is found out before anything of the request's body is taken in.
//!
//! A request with lists may be large. tonic reads it before it calls us, so without the gate anybody could fill the memory.

use super::Services;
use crate::catalogue::Actor;
use crate::credentials::Caller;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tonic::body::Body;
use tonic::metadata::MetadataMap;
use tonic::server::NamedService;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};
use tonic::{Request, Status};
use tower_service::Service;

/// A service that only accounts may call. The [`Caller`] is among the extensions of each request.
#[derive(Debug, Clone)]
pub(super) struct Gate<S> {
    services: Services,
    inner: S,
}

impl<S> Gate<S> {
    pub(super) fn new(services: Services, inner: S) -> Self {
        Self { services, inner }
    }
}

impl<S: NamedService> NamedService for Gate<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for Gate<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // The generated services are always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let (services, mut inner) = (self.services.clone(), self.inner.clone());
        let metadata = MetadataMap::from_headers(request.headers().clone());
        let peer = request.extensions().get::<TlsConnectInfo<TcpConnectInfo>>();
        let address = peer.and_then(|peer| peer.get_ref().remote_addr()).map(|address| address.ip());
        Box::pin(async move {
            match services.account(&metadata, address).await {
                Ok(caller) => {
                    request.extensions_mut().insert(caller);
                    inner.call(request).await
                }
                Err(status) => Ok(status.into_http()),
            }
        })
    }
}

/// Who acts by a request, for the audit log.
pub(super) fn actor<T>(request: &Request<T>) -> Result<Actor, Status> {
    let Caller { account, credential, .. } = caller(request)?;
    let address = request.remote_addr().map(|address| address.ip().to_string()).unwrap_or_default();
    Ok(Actor { account, credential, address })
}

/// The account that the gate let in.
pub(super) fn caller<T>(request: &Request<T>) -> Result<Caller, Status> {
    let caller = request.extensions().get::<Caller>().cloned();
    caller.ok_or_else(|| Status::internal("a service for accounts is not behind the gate"))
}
