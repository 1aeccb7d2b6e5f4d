//! `skerry key`: what an account proves itself and signs with.

use crate::client::{self, Client, LiveEdge, OriginOptions};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::files;
use crate::output;
use serde_json::{Value, json};
use skerry_folder::Readers;
use skerry_proto::hmac;
use skerry_proto::pointer::Version;
use skerry_proto::signed_url::key::{Algorithm, PublicKey, SigningKey};
use skerry_proto::wire;
use std::fs;
use std::path::PathBuf;

/// What to do with keys.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  skerry key ls
  skerry key create --kind url -o url-key.pem
  skerry key create --kind signature --algorithm hmac-sha256
  skerry key create --kind api --name CI
  skerry key import public.pem
  skerry key token rotate
  skerry key token promote --wait

To rotate the auth token: make a second one, give it to everybody who needs it, and promote it, which revokes the first. Until then both
are valid. An API key (SK…) stands for the account in place of an auth token: give its SID as SKERRY_ACCOUNT_SID and its secret as
SKERRY_AUTH_TOKEN.")]
pub(crate) struct Options {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, clap::Subcommand)]
enum KeyCommand {
    /// List auth tokens and keys
    Ls(ListOptions),
    /// Make a key: for signed URLs, a shared one for X-Twilio-Signature, or one for the API in place of an auth token
    Create(CreateOptions),
    /// Add the public half of a key for signed URLs
    Import(ImportOptions),
    /// Revoke a key
    Revoke(RevokeOptions),
    /// Auth tokens
    Token(TokenOptions),
}

#[derive(Debug, clap::Args)]
struct ListOptions {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    origin: OriginOptions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    Url,
    Signature,
    Api,
}

/// The algorithms of both kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum AlgorithmName {
    Ed25519,
    Es256,
    HmacSha1,
    HmacSha256,
}

/// What every change has.
#[derive(Debug, clap::Args)]
struct ChangeOptions {
    /// Return when every edge acts by it
    #[arg(long)]
    wait: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    origin: OriginOptions,
}

#[derive(Debug, clap::Args)]
struct CreateOptions {
    /// What it is for
    #[arg(long, value_enum)]
    kind: Kind,
    /// ed25519 or es256 for URLs, hmac-sha1 or hmac-sha256 for signatures [default: ed25519, hmac-sha256]
    #[arg(long, value_enum)]
    algorithm: Option<AlgorithmName>,
    /// What people call it, for an API key
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Write the private key there, mode 0600, rather than to standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    change: ChangeOptions,
}

#[derive(Debug, clap::Args)]
struct ImportOptions {
    /// Public key, PEM; of a private one only the public half is sent
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    change: ChangeOptions,
}

#[derive(Debug, clap::Args)]
struct RevokeOptions {
    /// Id of the key, as `skerry key ls` shows it
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    change: ChangeOptions,
}

#[derive(Debug, clap::Args)]
struct TokenOptions {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, clap::Subcommand)]
enum TokenCommand {
    /// Make a second auth token, and print it, once
    Rotate(ChangeOptions),
    /// Let the second auth token take the first one's place, which is revoked
    Promote(ChangeOptions),
    /// Revoke one of two auth tokens
    Revoke(RevokeTokenOptions),
}

#[derive(Debug, clap::Args)]
struct RevokeTokenOptions {
    /// Which one, 1 or 2
    #[arg(value_name = "SLOT", value_parser = clap::value_parser!(u8).range(1..=2))]
    slot: u8,
    #[command(flatten)]
    change: ChangeOptions,
}

/// Runs the command.
pub(crate) async fn run(options: Options, environment: &Environment) -> Result<(), Failure> {
    match options.command {
        KeyCommand::Ls(options) => list(&options, environment).await,
        KeyCommand::Create(options) => match options.kind {
            Kind::Url => create_url_key(&options, environment).await,
            Kind::Signature => create_signature_key(&options, environment).await,
            Kind::Api => create_api_key(&options, environment).await,
        },
        KeyCommand::Import(options) => import(&options, environment).await,
        KeyCommand::Revoke(RevokeOptions { id, change }) => revoke(id, &change, environment).await,
        KeyCommand::Token(TokenOptions { command }) => match command {
            TokenCommand::Rotate(change) => rotate_token(&change, environment).await,
            TokenCommand::Promote(change) => promote_token(&change, environment).await,
            TokenCommand::Revoke(RevokeTokenOptions { slot, change }) => {
                revoke(slot.to_string(), &change, environment).await
            }
        },
    }
}

async fn list(options: &ListOptions, environment: &Environment) -> Result<(), Failure> {
    let client = Client::connect(&options.origin, environment).await?;
    let listed = client.keys().list_keys(client.signed(wire::ListKeysRequest {})).await;
    let held = listed.map_err(|status| client.refused(&status))?.into_inner();
    let row = |kind: &'static str, id: String, algorithm: &'static str, created_at: i64| json!({ "kind": kind, "id": id, "algorithm": algorithm, "created_at": created_at });
    let tokens = held.tokens.iter().map(|token| row("token", token.slot.to_string(), "", token.created_at));
    let signature_keys = held
        .signature_keys
        .iter()
        .map(|key| row("signature", key.id.clone(), signature_algorithm(key.algorithm()), key.created_at));
    let url_keys = held.url_keys.iter().map(|key| {
        let algorithm = key.key.as_ref().map_or("", |key| url_algorithm(key.algorithm()));
        row("url", key.id.clone(), algorithm, key.created_at)
    });
    let api_keys = held.api_keys.iter().map(|key| {
        let mut row = row("api", key.sid.clone(), "", key.created_at);
        row["name"] = key.friendly_name.clone().into();
        row
    });
    let rows: Vec<Value> = tokens.chain(signature_keys).chain(url_keys).chain(api_keys).collect();
    if options.json {
        return output::json(&json!({ "keys": rows }));
    }
    for row in &rows {
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        let line = format!("{:<10} {:<12} {} {}", text("kind"), text("algorithm"), text("id"), text("name"));
        output::line(line.trim_end())?;
    }
    Ok(())
}

/// Edges do not know API keys, so there is nothing to wait for.
async fn create_api_key(options: &CreateOptions, environment: &Environment) -> Result<(), Failure> {
    if options.algorithm.is_some() || options.output.is_some() {
        return Err(Failure::usage("an API key has no algorithm, and is printed, once"));
    }
    let client = Client::connect(&options.change.origin, environment).await?;
    client.announce();
    let request = wire::CreateApiKeyRequest { friendly_name: options.name.clone().unwrap_or_default() };
    let made = client.keys().create_api_key(client.signed(request)).await;
    let made = made.map_err(|status| client.refused(&status))?.into_inner();
    let key = made.key.unwrap_or_default();
    if options.change.json {
        let (sid, name) = (&key.sid, &key.friendly_name);
        return output::json(&json!({ "kind": "api", "id": sid, "name": name, "secret": made.secret }));
    }
    output::line(format_args!("SKERRY_ACCOUNT_SID={}", key.sid))?;
    output::line(format_args!("SKERRY_AUTH_TOKEN={}", made.secret))?;
    output::note("the secret is shown this once");
    Ok(())
}

fn only_api_keys_have_names(options: &CreateOptions) -> Result<(), Failure> {
    let failure = || Failure::usage("--name is for API keys; keys of other kinds are known by their id");
    options.name.as_ref().map_or(Ok(()), |_| Err(failure()))
}

/// The private half is made here, and stays here.
async fn create_url_key(options: &CreateOptions, environment: &Environment) -> Result<(), Failure> {
    only_api_keys_have_names(options)?;
    let algorithm = match options.algorithm {
        None | Some(AlgorithmName::Ed25519) => Algorithm::Ed25519,
        Some(AlgorithmName::Es256) => Algorithm::Es256,
        Some(_) => return Err(Failure::usage("a key for URLs is of algorithm ed25519 or es256")),
    };
    let pem =
        SigningKey::generate(algorithm).ok_or_else(|| Failure::new("the system gives no random bytes"))?;
    let key = SigningKey::from_pem(pem.as_bytes()).map_err(|error| Failure::of(&error))?;
    if let Some(file) = options.output.as_ref().filter(|file| file.exists()) {
        return Err(Failure::usage(format!("{} is there already; choose another file", file.display())));
    }
    let client = Client::connect(&options.change.origin, environment).await?;
    client.announce();
    // On disk before the origin knows of it: what is lost then is a file, not a key in use.
    if let Some(file) = &options.output {
        files::write(file, pem.as_bytes(), Readers::Owner)?;
    }
    let (id, revision) = add_url_key(&client, key.public()).await?;
    let made = match &options.output {
        Some(file) => json!({ "kind": "url", "id": id, "algorithm": algorithm.label(), "file": file }),
        None => json!({ "kind": "url", "id": id, "algorithm": algorithm.label(), "private_key": pem }),
    };
    if !options.change.json {
        if options.output.is_none() {
            output::line(pem.trim_end())?;
        }
        output::note(format_args!("key {id}; its private half is nowhere but here"));
    }
    finish(&client, &options.change, made, revision).await
}

async fn create_signature_key(options: &CreateOptions, environment: &Environment) -> Result<(), Failure> {
    only_api_keys_have_names(options)?;
    let algorithm = match options.algorithm {
        Some(AlgorithmName::HmacSha1) => hmac::Algorithm::Sha1,
        None | Some(AlgorithmName::HmacSha256) => hmac::Algorithm::Sha256,
        Some(_) => {
            return Err(Failure::usage("a key for signatures is of algorithm hmac-sha1 or hmac-sha256"));
        }
    };
    if options.output.is_some() {
        return Err(Failure::usage("--output is for keys of URLs; a shared key is printed, once"));
    }
    let client = Client::connect(&options.change.origin, environment).await?;
    client.announce();
    let algorithm = wire::SignatureAlgorithm::from(algorithm);
    let request = wire::CreateSignatureKeyRequest { algorithm: algorithm.into() };
    let made = client.keys().create_signature_key(client.signed(request)).await;
    let made = made.map_err(|status| client.refused(&status))?.into_inner();
    let algorithm = signature_algorithm(algorithm);
    if !options.change.json {
        output::line(format_args!("id      {}", made.id))?;
        output::line(format_args!("secret  {}", made.secret))?;
        output::note("the secret is shown this once");
    }
    let shown = json!({ "kind": "signature", "id": made.id, "algorithm": algorithm, "secret": made.secret });
    finish(&client, &options.change, shown, made.revision).await
}

async fn import(options: &ImportOptions, environment: &Environment) -> Result<(), Failure> {
    let file = &options.file;
    let text =
        fs::read(file).map_err(|error| Failure::usage(format!("cannot read {}: {error}", file.display())))?;
    let key = PublicKey::from_pem(&text)
        .or_else(|_| SigningKey::from_pem(&text).map(|key| key.public().clone()))
        .map_err(|error| Failure::usage(format!("{}: {error}, in PEM", file.display())))?;
    let client = Client::connect(&options.change.origin, environment).await?;
    client.announce();
    let (id, revision) = add_url_key(&client, &key).await?;
    if !options.change.json {
        output::line(&id)?;
    }
    let shown = json!({ "kind": "url", "id": id, "algorithm": key.algorithm().label() });
    finish(&client, &options.change, shown, revision).await
}

async fn add_url_key(
    client: &Client,
    key: &PublicKey,
) -> Result<(String, Option<wire::KeyRevision>), Failure> {
    let request = wire::AddUrlKeyRequest { key: Some(key.into()) };
    let added = client.keys().add_url_key(client.signed(request)).await;
    let added = added.map_err(|status| client.refused(&status))?.into_inner();
    Ok((added.id, added.revision))
}

async fn rotate_token(options: &ChangeOptions, environment: &Environment) -> Result<(), Failure> {
    let client = Client::connect(&options.origin, environment).await?;
    client.announce();
    let made = client.keys().create_token(client.signed(wire::CreateTokenRequest {})).await;
    let made = made.map_err(|status| client.refused(&status))?.into_inner();
    if !options.json {
        output::line(format_args!("SKERRY_AUTH_TOKEN={}", made.auth_token))?;
        output::note(format_args!(
            "this is token {}, shown this once; the other one stays valid until `skerry key token promote`",
            made.slot
        ));
    }
    let shown = json!({ "kind": "token", "slot": made.slot, "auth_token": made.auth_token });
    finish(&client, options, shown, made.revision).await
}

async fn promote_token(options: &ChangeOptions, environment: &Environment) -> Result<(), Failure> {
    let client = Client::connect(&options.origin, environment).await?;
    client.announce();
    let promoted = client.keys().promote_token(client.signed(wire::PromoteTokenRequest {})).await;
    let promoted = promoted.map_err(|status| client.refused(&status))?.into_inner();
    if !options.json {
        output::line(format_args!("only token {} is valid now", promoted.slot))?;
    }
    finish(&client, options, json!({ "kind": "token", "slot": promoted.slot }), promoted.revision).await
}

async fn revoke(id: String, options: &ChangeOptions, environment: &Environment) -> Result<(), Failure> {
    let client = Client::connect(&options.origin, environment).await?;
    client.announce();
    let revoked = client.keys().revoke_key(client.signed(wire::RevokeKeyRequest { id: id.clone() })).await;
    let revision = revoked.map_err(|status| client.refused(&status))?.into_inner().revision;
    if !options.json {
        output::line(format_args!("revoked {id}"))?;
    }
    // One that edges do not know, such as an API key, is revoked already.
    if revision.is_none() {
        return if options.json { output::json(&json!({ "revoked": id })) } else { Ok(()) };
    }
    finish(&client, options, json!({ "revoked": id }), revision).await
}

/// Waits where that was asked for, and prints the JSON.
async fn finish(
    client: &Client,
    options: &ChangeOptions,
    mut shown: Value,
    revision: Option<wire::KeyRevision>,
) -> Result<(), Failure> {
    let revision = revision.unwrap_or_default();
    let version = Version { epoch: revision.epoch, revision: revision.revision };
    let edges = if options.wait { client::wait_live(client, version).await } else { Ok(Vec::new()) };
    if options.json {
        let listed = edges.as_deref().unwrap_or_default();
        shown["epoch"] = version.epoch.into();
        shown["revision"] = version.revision.into();
        shown["edges"] = listed.iter().map(LiveEdge::json).collect();
        output::json(&shown)?;
    }
    client::all_live(&edges?)
}

const fn signature_algorithm(algorithm: wire::SignatureAlgorithm) -> &'static str {
    match algorithm {
        wire::SignatureAlgorithm::HmacSha1 => "hmac-sha1",
        wire::SignatureAlgorithm::HmacSha256 => "hmac-sha256",
        wire::SignatureAlgorithm::Unspecified => "",
    }
}

const fn url_algorithm(algorithm: wire::UrlAlgorithm) -> &'static str {
    match algorithm {
        wire::UrlAlgorithm::Ed25519 => Algorithm::Ed25519.label(),
        wire::UrlAlgorithm::Es256 => Algorithm::Es256.label(),
        wire::UrlAlgorithm::Unspecified => "",
    }
}
