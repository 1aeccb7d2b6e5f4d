//! What a proof costs: a signature of a request, a signed URL seen for the first time, and one that was verified before.

use crate::harness::{Bench, Unit};
use anyhow::Context;
use skerry_proto::hmac::{Algorithm, Midstates};
use skerry_proto::signed_url::key::{self, SigningKey};
use skerry_proto::signed_url::{Grant, Package, Parties, Token, Urls, normalised};
use skerry_proto::twilio::{Body, Presented, Secret, SignedRequest, sign};
use std::hint::black_box;
use std::time::Duration;

const URL: &str =
    "https://default-1234.example.com/recordings/2026/11/greeting-1234567890.mp3?call=CA0123456789abcdef";

/// While the tokens count.
const NOW: Duration = Duration::from_secs(1_700_000_000);

pub(crate) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    signatures(bench)?;
    for algorithm in [key::Algorithm::Ed25519, key::Algorithm::Es256] {
        for (what, urls) in [
            ("hash", Urls::One(URL.into())),
            ("pattern", Urls::Pattern(r"https://[^/]+/recordings/[0-9]{4}/.*\.mp3(\?.*)?".into())),
        ] {
            signed_urls(bench, algorithm, what, urls)?;
        }
    }
    Ok(())
}

/// With two auth tokens under both algorithms, as while they are rotated; the right one is the last.
fn signatures(bench: &mut Bench) -> anyhow::Result<()> {
    let secret = |token: &str, algorithm| Secret {
        key_id: None,
        midstates: Midstates::of(algorithm, token.as_bytes()),
    };
    let secrets =
        ["first", "second"].map(|token| Algorithm::ALL.map(|algorithm| secret(token, algorithm))).concat();
    let right = sign(&Midstates::of(Algorithm::Sha1, b"second"), URL);
    let (host, target) = URL.trim_start_matches("https://").split_once('/').context("a path")?;
    let target = format!("/{target}");
    bench.run("access: signature of a request", Unit::Once, || {
        let presented = Presented::read([black_box(right.as_bytes())], []).ok().flatten()?;
        let request = SignedRequest { scheme: "https", host, port: 443, target: &target, body: Body::Empty };
        request.is_signed_by(&secrets, &presented).ok()
    });
    Ok(())
}

fn signed_urls(bench: &mut Bench, algorithm: key::Algorithm, what: &str, urls: Urls) -> anyhow::Result<()> {
    let pem = SigningKey::generate(algorithm).context("randomness")?;
    let key = SigningKey::from_pem(pem.as_bytes())?;
    let grant = Grant { issuer: None, expires: 1_800_000_000, not_before: None, urls };
    let signed = Package::put(URL, &grant.sign(&key)?);
    let keys = [key.public().clone()];
    let parties = Parties { issuer: "AC0", audience: "default-1234.example.com", aliases: &[] };
    let name = algorithm.name();
    bench.run(&format!("access: signed URL, {name}, {what}, first"), Unit::Once, || {
        let package = Package::find(black_box(&signed)).ok().flatten()?;
        let token = Token::verify(package.token, &keys, parties).ok()?;
        token.permits(&normalised(&package.target)?, NOW).ok()
    });
    let package = Package::find(&signed)?.context("a token")?;
    let token = Token::verify(package.token, &keys, parties)?;
    bench.run(&format!("access: signed URL, {name}, {what}, again"), Unit::Once, || {
        let package = Package::find(black_box(&signed)).ok().flatten()?;
        token.permits(&normalised(&package.target)?, NOW).ok()
    });
    Ok(())
}
