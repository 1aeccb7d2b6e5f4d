//! `skerry sign`: a signed URL, or a signature for a request, made here: no origin is asked.

use super::span::seconds;
use crate::client::{OriginOptions, URL_KEY_FILE, account};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::output;
use serde_json::json;
use skerry_proto::hmac::{Algorithm, Midstates};
use skerry_proto::signed_url::key::SigningKey;
use skerry_proto::signed_url::{Grant, Package, Urls, normalised};
use skerry_proto::twilio;
use std::fs;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// What to sign.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  skerry sign https://cdn.example.com/film.mp4 --expires 2h
  skerry sign https://cdn.example.com/film/ --pattern 'https://cdn\\.example\\.com/film/.*' --expires 1h --json
  curl -H \"X-Twilio-Signature: $(skerry sign --header URL)\" URL

The key is that of --key or SKERRY_URL_KEY, else the one of a skerry dev on this machine. Only its public half is at the origin.
Whoever has a signed URL can fetch what it permits, until it expires.")]
pub(crate) struct Options {
    /// The URL, as clients request it
    #[arg(value_name = "URL")]
    url: String,
    /// How long it can be used, such as 30m, 1h or 7d
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = seconds::<366>)]
    expires: u32,
    /// Permit every URL that this pattern matches from its beginning to its end, not the one URL alone
    #[arg(long, value_name = "REGEX")]
    pattern: Option<String>,
    /// Private key, PEM, made by `skerry key create --kind url` [environment: SKERRY_URL_KEY]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Print the value of X-Twilio-Signature for a GET of the URL; needs the auth token
    #[arg(long, conflicts_with_all = ["expires", "pattern", "key"])]
    header: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    origin: OriginOptions,
}

/// Runs the command.
pub(crate) async fn run(options: Options, environment: &Environment) -> Result<(), Failure> {
    let url = normalised(&options.url).ok_or_else(|| {
        Failure::usage(format!("{:?} is no URL that can be signed", options.url))
            .hint("it is written https://HOST/PATH, and has no %2F in its path")
    })?;
    if options.header {
        return sign_header(&options, environment);
    }
    let key = signing_key(&options, environment)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let expires = i64::try_from(now).unwrap_or(i64::MAX).saturating_add(options.expires.into());
    let urls = options.pattern.clone().map_or(Urls::One(url), Urls::Pattern);
    let grant = Grant { issuer: None, expires, not_before: None, urls };
    let token = grant.sign(&key).map_err(|error| Failure::usage(error.to_string()))?;
    // As it was given: normalising is for the comparison alone.
    let signed = Package::put(&options.url, &token);
    if options.json {
        return output::json(&json!({ "url": signed, "token": token, "expires_at": expires }));
    }
    output::line(signed)
}

/// The signature of a request without a body, with the account's token.
fn sign_header(options: &Options, environment: &Environment) -> Result<(), Failure> {
    let (credentials, _) = account(&options.origin, environment)?;
    let midstates = Midstates::of(Algorithm::Sha1, credentials.auth_token.as_bytes());
    // Signatures are over the URL as it is requested, not as it is normalised.
    let signature = twilio::sign(&midstates, &options.url);
    match options.json {
        true => output::json(&json!({ "url": options.url, "signature": signature })),
        false => output::line(signature),
    }
}

fn signing_key(options: &Options, environment: &Environment) -> Result<SigningKey, Failure> {
    let named = options.key.clone().or_else(|| environment.value("SKERRY_URL_KEY").map(PathBuf::from));
    let file = named.unwrap_or_else(|| options.origin.data.join(URL_KEY_FILE));
    let text = fs::read(&file).map_err(|error| {
        Failure::usage(format!("cannot read the key {}: {error}", file.display())).hint(
            "make one with `skerry key create --kind url -o FILE`, and name it with --key FILE or SKERRY_URL_KEY",
        )
    })?;
    SigningKey::from_pem(&text)
        .map_err(|error| Failure::usage(format!("{} cannot sign: {error}", file.display())))
}
