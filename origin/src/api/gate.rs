//! Before any resource: by which name the API was reached, whether a browser was made to call by some page, and who calls.
//!
//! There are no cookies, and no page of another origin gets an answer; a host name that is not ours is refused, so that a page cannot
//! make its own name lead here (DNS rebinding).

use super::Api;
use super::call::{Base, IsOperator};
use super::listen::Connected;
use super::refusal::{self, Refusal};
use crate::basic;
use crate::catalogue::Actor;
use crate::credentials::AuthError;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;

/// The hosts that Twilio's clients call: everything at the first, uploads at the second.
const TWILIO_HOSTS: [&str; 2] = ["serverless.twilio.com", "serverless-upload.twilio.com"];

/// Names by which the API may be reached.
#[derive(Debug)]
pub(crate) struct Hosts {
    names: Vec<String>,
    /// How browsers reach the console, where something before it ends TLS.
    console: Option<String>,
}

impl Hosts {
    /// Those of the configuration, beside the ones that are always ours, and the console's own origin.
    pub(crate) fn new(configured: &[String], console: Option<&str>) -> Self {
        let console = console.map(str::to_ascii_lowercase);
        let own = TWILIO_HOSTS.into_iter().chain(["localhost"]).map(str::to_owned);
        let host =
            console.as_deref().and_then(|origin| Some(without_port(origin.split_once("://")?.1).to_owned()));
        let configured = configured.iter().map(|name| name.to_ascii_lowercase());
        Self { names: configured.chain(host).chain(own).collect(), console }
    }

    /// How a host is reached, as browsers see it.
    fn base(&self, scheme: &str, host: &str) -> String {
        let console = self.console.as_deref().and_then(|origin| origin.split_once("://"));
        match console {
            Some((scheme, name)) if name.eq_ignore_ascii_case(host) => format!("{scheme}://{host}"),
            // Clients know Twilio's hosts by HTTPS only; whoever leads them here ended their TLS before, and follows the URLs of
            // answers.
            _ if TWILIO_HOSTS.contains(&host) => format!("https://{host}"),
            _ => format!("{scheme}://{host}"),
        }
    }

    /// Whether `host`, with a port or without, is the API's own. An address is always: whoever calls by address was not led here by
    /// a name.
    fn has(&self, host: &str) -> bool {
        let name = without_port(host);
        let literal = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        literal.parse::<IpAddr>().is_ok() || self.names.contains(&name)
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.is_empty() => name,
        _ => host,
    }
}

/// Refuses what does not come by a name of ours, or from a page of another origin; counts all answers.
pub(super) async fn admit(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let scheme = match request.extensions().get::<Connected>() {
        Some(Connected { is_tls: true, .. }) => "https",
        _ => "http",
    };
    let response = match base(&api.hosts, scheme, request.headers(), request.uri()) {
        Ok(base) => {
            request.extensions_mut().insert(base);
            refusal::in_our_form(next.run(request).await)
        }
        Err(refusal) => refusal.into_response(),
    };
    api.metrics.api_request(response.status().as_u16());
    response
}

fn base(hosts: &Hosts, scheme: &str, headers: &HeaderMap, uri: &Uri) -> Result<Base, Refusal> {
    // RFC 9112 §3.2.2: the authority of the target counts where there is one.
    let named = headers.get(HOST).and_then(|value| value.to_str().ok());
    let host = uri.authority().map(|authority| authority.as_str()).or(named).unwrap_or_default();
    if !hosts.has(host) {
        let message = "this host name is not one of the API's; add it to api.names if it should be";
        return Err(Refusal::new(StatusCode::MISDIRECTED_REQUEST, message));
    }
    let base = hosts.base(scheme, host);
    // The console's page holds nothing of anybody: a link on another site may lead to it.
    if uri.path() == "/" {
        return Ok(Base(base));
    }
    let is_foreign = headers.get(ORIGIN).is_some_and(|origin| origin.as_bytes() != base.as_bytes());
    let is_cross_site = headers
        .get("sec-fetch-site")
        .is_some_and(|site| !matches!(site.as_bytes(), b"same-origin" | b"none"));
    if is_foreign || is_cross_site {
        return Err(Refusal::new(StatusCode::FORBIDDEN, "pages of other origins may not call the API"));
    }
    Ok(Base(base))
}

/// Finds out who calls, before anything of the body is read.
pub(super) async fn authenticate(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let address = request.extensions().get::<Connected>().map(|connected| connected.address.ip());
    let shown = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let shown = shown.and_then(basic::credentials);
    match actor(&api, shown, address).await {
        Ok((actor, is_operator)) => {
            request.extensions_mut().insert(actor);
            request.extensions_mut().insert(is_operator);
            next.run(request).await
        }
        Err(refusal) => refusal.into_response(),
    }
}

async fn actor(
    api: &Api,
    shown: Option<(String, String)>,
    address: Option<IpAddr>,
) -> Result<(Actor, IsOperator), Refusal> {
    let caller = api.credentials.authenticate(shown, address).await.inspect_err(|error| {
        if !matches!(error, AuthError::Failed(_)) {
            api.metrics.api_auth_failures.increment(1);
        }
    })?;
    let address = address.map(|address| address.to_string()).unwrap_or_default();
    let actor = Actor { account: caller.account, credential: caller.credential, address };
    Ok((actor, IsOperator(caller.is_operator)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn answered(headers: &[(&'static str, &'static str)]) -> Result<String, StatusCode> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_static(value));
        }
        let hosts = Hosts::new(&["Cdn.Example.com".to_owned()], Some("https://console.example.com"));
        let base = base(&hosts, "http", &map, &Uri::from_static("/v1/Services"));
        base.map(|base| base.0).map_err(|refusal| refusal.status)
    }

    #[test]
    fn only_names_of_the_api_are_answered() {
        for host in [
            "localhost:8080",
            "127.0.0.1:8080",
            "[::1]:8080",
            "[::1]",
            "10.0.0.7",
            "cdn.example.com",
            "CDN.example.com:8080",
        ] {
            assert_eq!(answered(&[("host", host)]), Ok(format!("http://{host}")), "{host}");
        }
        for host in TWILIO_HOSTS {
            assert_eq!(answered(&[("host", host)]), Ok(format!("https://{host}")), "{host}");
        }
        for host in
            ["", "evil.example", "localhost.evil.example:8080", "serverless.twilio.com.evil.example", "::1:x"]
        {
            assert_eq!(answered(&[("host", host)]), Err(StatusCode::MISDIRECTED_REQUEST), "{host}");
        }
    }

    #[test]
    fn the_console_has_the_origin_that_browsers_see() {
        assert_eq!(
            answered(&[("host", "console.example.com")]),
            Ok("https://console.example.com".to_owned())
        );
        let own = [("host", "console.example.com"), ("origin", "https://console.example.com")];
        assert!(answered(&own).is_ok());
        let plain = [("host", "console.example.com"), ("origin", "http://console.example.com")];
        assert_eq!(answered(&plain), Err(StatusCode::FORBIDDEN));
    }

    #[test]
    fn pages_of_other_origins_are_refused() {
        let host = ("host", "localhost:8080");
        for header in [
            ("origin", "http://evil.example"),
            ("origin", "null"),
            ("origin", "https://localhost:8080"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert_eq!(answered(&[host, header]), Err(StatusCode::FORBIDDEN), "{header:?}");
        }
        for header in [
            ("origin", "http://localhost:8080"),
            ("sec-fetch-site", "none"),
            ("sec-fetch-site", "same-origin"),
        ] {
            assert!(answered(&[host, header]).is_ok(), "{header:?}");
        }
    }
}
