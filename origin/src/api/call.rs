//! A call that was let in: who calls, and by which name the API was reached.

use super::refusal::Refusal;
use crate::catalogue::Actor;
use crate::sid::AccountSid;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;

/// How the API was reached: `https://serverless.twilio.com`. Clients follow the URLs of answers as they are, so these lead back here.
#[derive(Debug, Clone)]
pub(crate) struct Base(pub(crate) String);

/// Whether the account that calls is an operator's: among the extensions of a request, beside the [`Actor`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct IsOperator(pub(crate) bool);

/// A call of an account.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) actor: Actor,
    pub(crate) is_operator: bool,
    pub(crate) base: Base,
}

impl Call {
    /// Who calls.
    pub(crate) fn account(&self) -> &AccountSid {
        &self.actor.account
    }

    /// The absolute URL of a resource.
    pub(crate) fn url(&self, path: std::fmt::Arguments<'_>) -> String {
        format!("{}/v1{path}", self.base.0)
    }
}

impl<S: Sync> FromRequestParts<S> for Call {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let (actor, base) = (parts.extensions.get::<Actor>(), parts.extensions.get::<Base>());
        // The gate puts both there.
        let (Some(actor), Some(base)) = (actor, base) else {
            return Err(Refusal::new(StatusCode::UNAUTHORIZED, "Authenticate"));
        };
        let is_operator = parts.extensions.get::<IsOperator>().is_some_and(|is_operator| is_operator.0);
        Ok(Self { actor: actor.clone(), is_operator, base: base.clone() })
    }
}
