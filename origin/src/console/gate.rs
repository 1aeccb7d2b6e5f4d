//! Whether a call comes from a page of ours whose user signed in.
//!
//! The cookie alone is not enough: cookies ignore ports, so whatever else runs on this host may be sent it, and pages of it may send
//! it. Every call but a preview also carries a secret that the page got when it signed in and keeps to itself; every change names
//! our own origin (RFC 6454 §7), which browsers add and pages cannot choose. Host names and foreign pages were looked at before,
//! by the gate of the API.

use super::Console;
use crate::api::{Base, Connected, IsOperator, Refusal};
use crate::catalogue::{Actor, Session};
use crate::publish::unix_seconds;
use crate::secret::secret_hash;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, COOKIE, ORIGIN, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::time::SystemTime;

/// The header with the page's secret.
const PAGE_SECRET: &str = "skerry-page";

/// Cookies of a request that are looked at.
const COOKIES_MAX: usize = 64;

/// How a session is recognised: the hash of its cookie. Among the extensions of a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct SessionHash(pub(super) [u8; 32]);

/// What a session says of itself: among the extensions of a request.
#[derive(Debug, Clone)]
pub(super) struct Begun(pub(super) Session);

/// The name of the session's cookie. Over TLS nobody else on the host can set it (RFC 6265bis §4.1.3.2). The port is in it, so that
/// two consoles on one host do not sign each other out.
pub(super) fn cookie_name(base: &Base) -> String {
    let (scheme, host) = base.0.split_once("://").unwrap_or(("http", &base.0));
    let port = host
        .rsplit_once(':')
        .map(|(_, port)| port)
        .filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    let prefix = if scheme == "https" { "__Host-" } else { "" };
    match port {
        Some(port) => format!("{prefix}skerry-{port}"),
        None => format!("{prefix}skerry"),
    }
}

/// Signing in: nobody is known yet, and the call still has to come from our own page.
pub(super) async fn sign_in(request: Request, next: Next) -> Response {
    match own_page(&request) {
        Ok(()) => answered(next.run(request).await),
        Err(refusal) => answered(refusal.into_response()),
    }
}

/// Calls of the page.
pub(super) async fn page(State(console): State<Console>, mut request: Request, next: Next) -> Response {
    let admitted = async {
        if !request.method().is_safe() {
            own_page(&request)?;
        }
        let session = admit(&console, &mut request).await?;
        let shown = request.headers().get(PAGE_SECRET).map(HeaderValue::as_bytes).unwrap_or_default();
        match verify_slices_are_equal(&secret_hash(shown), &session.page_hash) {
            Ok(()) => Ok(()),
            Err(_) => Err(signed_out()),
        }
    };
    match admitted.await {
        Ok(()) => answered(next.run(request).await),
        Err(refusal) => answered(refusal.into_response()),
    }
}

/// Previews, which elements of the page fetch by themselves: the cookie is all they can bring.
pub(super) async fn preview(State(console): State<Console>, mut request: Request, next: Next) -> Response {
    match admit(&console, &mut request).await {
        Ok(_) => next.run(request).await,
        Err(refusal) => answered(refusal.into_response()),
    }
}

/// Finds the session of a request, and notes who calls.
async fn admit(console: &Console, request: &mut Request) -> Result<Session, Refusal> {
    let hash = session_hash(request)?;
    let now = unix_seconds(SystemTime::now());
    let session = console.api.catalogue.session(&hash, now).await?.ok_or_else(signed_out)?;
    let address = request.extensions().get::<Connected>().map(|connected| connected.address.ip().to_string());
    let extensions = request.extensions_mut();
    extensions.insert(Actor {
        account: session.account.clone(),
        credential: session.credential.clone(),
        address: address.unwrap_or_default(),
    });
    extensions.insert(IsOperator(session.is_operator));
    extensions.insert(SessionHash(hash));
    extensions.insert(Begun(session.clone()));
    Ok(session)
}

fn session_hash(request: &Request) -> Result<[u8; 32], Refusal> {
    let base = request.extensions().get::<Base>().ok_or_else(signed_out)?;
    let cookie = cookie(request.headers(), &cookie_name(base)).ok_or_else(signed_out)?;
    Ok(secret_hash(cookie.as_bytes()))
}

/// The value of a cookie (RFC 6265 §5.4).
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let pairs = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = pairs.flat_map(|value| value.split(';')).take(COOKIES_MAX);
    pairs.find_map(|pair| pair.trim_start().strip_prefix(name)?.strip_prefix('='))
}

/// Whether a change comes from a page of ours. That a foreign one is refused where it is named was seen to before; here one that is
/// not named is, too.
fn own_page(request: &Request) -> Result<(), Refusal> {
    let base = request.extensions().get::<Base>();
    let origin = request.headers().get(ORIGIN);
    match (base, origin) {
        (Some(base), Some(origin)) if origin.as_bytes() == base.0.as_bytes() => Ok(()),
        _ => Err(Refusal::new(StatusCode::FORBIDDEN, "only the console's own page may call this")),
    }
}

/// One answer for a session that is missing, over, or not the page's own.
fn signed_out() -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, "the session is over; sign in again")
}

/// No answer is kept by a cache, and none makes the browser ask for a password in a window of its own.
fn answered(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.remove(WWW_AUTHENTICATE);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_bound_to_the_host_over_tls_and_to_the_port() {
        let name = |base: &str| cookie_name(&Base(base.to_owned()));
        assert_eq!(name("http://127.0.0.1:8080"), "skerry-8080");
        assert_eq!(name("https://cdn.example.com:8443"), "__Host-skerry-8443");
        assert_eq!(name("https://cdn.example.com"), "__Host-skerry");
        assert_eq!(name("https://[::1]"), "__Host-skerry");
    }

    #[test]
    fn a_cookie_is_found_among_others_by_its_whole_name() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("xskerry=1; skerry-1=no; skerry=yes"));
        assert_eq!(cookie(&headers, "skerry"), Some("yes"));
        assert_eq!(cookie(&headers, "other"), None);
    }
}
