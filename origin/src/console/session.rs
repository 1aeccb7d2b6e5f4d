//! Signing in with an account's token, an API key or a link that works once; signing out.

use super::Console;
use super::body::{OF_STRANGER, Said};
use super::gate::{Begun, SessionHash, cookie_name};
use crate::api::{Base, Connected, Refusal};
use crate::catalogue::{Actor, NewSession, token_name};
use crate::credentials::AuthError;
use crate::publish::unix_seconds;
use crate::secret::{NoRandomness, hex, random, secret_hash};
use axum::Json;
use axum::extract::{Extension, State};
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::{Instant, SystemTime};

/// Characters of a credential at most; ours have 34.
const CREDENTIAL_LEN_MAX: usize = 256;

/// Who somebody says to be: SID and secret, or the secret of a link.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignIn {
    #[serde(default)]
    sid: String,
    #[serde(default)]
    secret: String,
    #[serde(default)]
    link: String,
}

/// Begins a session.
pub(super) async fn begin(
    State(console): State<Console>,
    Extension(base): Extension<Base>,
    Extension(connected): Extension<Connected>,
    Said(said): Said<SignIn, OF_STRANGER>,
) -> Result<Response, Refusal> {
    if [&said.sid, &said.secret, &said.link].into_iter().any(|text| text.len() > CREDENTIAL_LEN_MAX) {
        return Err(AuthError::Wrong.into());
    }
    let address = connected.address.ip();
    let (account, credential, credential_hash) = if said.link.is_empty() {
        let shown = Some((said.sid, said.secret.clone()));
        let caller = console.api.credentials.authenticate(shown, Some(address)).await.map_err(wrong)?;
        (caller.account, caller.credential, secret_hash(said.secret.as_bytes()))
    } else {
        let throttle = console.api.credentials.throttle();
        if !throttle.admits(address, "link", Instant::now()) {
            return Err(AuthError::TooMany.into());
        }
        let redeemed = console.links.redeem(&said.link, Instant::now());
        let (account, hash) = redeemed.ok_or_else(|| {
            throttle.failed(address, "link", Instant::now());
            Refusal::new(
                StatusCode::UNAUTHORIZED,
                "this link was used already, or is too old; sign in with SID and token",
            )
        })?;
        // Whichever it is by now: it may have taken the first one's place, or be gone.
        let found = console.api.catalogue.account(account.as_str()).await?;
        let tokens =
            found.filter(|account| !account.keys_only).map(|account| account.tokens).unwrap_or_default();
        let token = tokens.iter().find(|token| token.hash == hash).ok_or(AuthError::Wrong)?;
        (account, token_name(token.slot), hash)
    };
    let (cookie, page) = (secret()?, secret()?);
    let now = unix_seconds(SystemTime::now());
    let seconds = i64::try_from(console.config.session_time.as_secs()).unwrap_or(i64::MAX);
    let session = NewSession {
        session_hash: secret_hash(cookie.as_bytes()),
        page_hash: secret_hash(page.as_bytes()),
        credential_hash,
        created_at: now,
        expires_at: now.saturating_add(seconds),
    };
    let actor = Actor { account, credential, address: address.to_string() };
    console.api.catalogue.add_session(&actor, &session, console.config.session_count_max).await?;
    let set = cookie_header(&base, &cookie, seconds);
    let said = json!({ "page": page, "account_sid": actor.account.as_str() });
    Ok(([(SET_COOKIE, set)], Json(said)).into_response())
}

/// Tokens are called by their names in the console.
fn wrong(error: AuthError) -> Refusal {
    match error {
        AuthError::Wrong => Refusal::new(
            StatusCode::UNAUTHORIZED,
            "the SID or the token is wrong; both are shown by skerry dev and by skerry origin init",
        ),
        other => other.into(),
    }
}

/// Who is signed in.
pub(super) async fn show(Extension(Begun(session)): Extension<Begun>) -> Json<Value> {
    Json(json!({
        "account_sid": session.account.as_str(),
        "credential": session.credential,
        "is_operator": session.is_operator,
        "expires_at": session.expires_at,
        "version": env!("CARGO_PKG_VERSION"),
    }))
}

/// Ends the session.
pub(super) async fn end(
    State(console): State<Console>,
    Extension(base): Extension<Base>,
    Extension(SessionHash(hash)): Extension<SessionHash>,
) -> Result<Response, Refusal> {
    console.api.catalogue.end_session(&hash).await?;
    Ok(([(SET_COOKIE, cookie_header(&base, "", 0))], StatusCode::NO_CONTENT).into_response())
}

fn cookie_header(base: &Base, value: &str, seconds: i64) -> HeaderValue {
    let secure = if base.0.starts_with("https://") { "; Secure" } else { "" };
    let name = cookie_name(base);
    let header = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    // Name and value are letters, digits and dashes of ours.
    HeaderValue::from_str(&header).unwrap_or(HeaderValue::from_static(""))
}

fn secret() -> Result<String, Refusal> {
    let random = random::<32>().map_err(|NoRandomness| {
        Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the system gives no random bytes; try again in a moment",
        )
    })?;
    Ok(hex(&random))
}
