//! The examples of RFC 9246, and every way in which a token does not let its bearer in.

use super::*;
use key::Algorithm;
use serde_json::{Value, json};

const URL: &str = "https://site.test/video/001.ts";
const NOW: u64 = 1_700_000_000;
const PARTIES: Parties<'_> = Parties { issuer: "AC1", audience: "site.test", aliases: &[] };

fn signing_key(algorithm: Algorithm) -> SigningKey {
    let pem = SigningKey::generate(algorithm).expect("randomness");
    SigningKey::from_pem(pem.as_bytes()).expect("own key")
}

/// A token with any header and claims, rightly signed.
fn token(key: &SigningKey, header: &Value, claims: &str) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims));
    let signature = key.sign(signed.as_bytes()).expect("randomness");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn header(key: &SigningKey) -> Value {
    json!({ "alg": key.public().algorithm().name(), "kid": key.public().id() })
}

/// What becomes of a request for [`URL`] at [`NOW`] with a token that has these claims.
fn outcome(claims: &str) -> Result<(), TokenError> {
    let key = signing_key(Algorithm::Ed25519);
    let text = token(&key, &header(&key), claims);
    Token::verify(&text, &[key.public().clone()], PARTIES)?.permits(URL, Duration::from_secs(NOW))
}

fn pattern(pattern: &str) -> String {
    json!({ "cdniuc": format!("regex:{pattern}") }).to_string()
}

/// The key of RFC 9246 appendix A.
fn rfc_key() -> PublicKey {
    let coordinate = |text| URL_SAFE_NO_PAD.decode(text).expect("base64");
    let mut point = vec![4];
    point.extend(coordinate("be807S4O7dzB6I4hTiCUvmxCI6FuxWba1xYBlLSSsZ8"));
    point.extend(coordinate("rOGC4vI69g-WF9AGEVI37sNNwbjIzBxSjLvIL7f3RBA"));
    PublicKey::new(Algorithm::Es256, &point).expect("a key")
}

const RFC_HEADER: &str =
    "eyJhbGciOiJFUzI1NiIsImtpZCI6IlA1VXBPdjBlTXExd2N4TGY3V3hJZzA5SmRTWUdZRkRPV2tsZHVlYUltZjAifQ";

#[test]
fn the_simple_example_of_the_rfc_permits_its_url_until_it_expires() {
    // RFC 9246 appendix A.1
    let text = format!(
        "{RFC_HEADER}.eyJleHAiOjE2NDY4NjczNjksImlzcyI6InVDRE4gSW5jIiwiY2RuaXVjIjoiaGFzaDpzaGEtMjU2OzJ0ZGVyZldQYTg2S3U3WW56VzUxWVVwN2RHVWpCU18zU1czRUx4NGhtV1kifQ.TaNlJM3D96i_9J9XvlICO6FUIDFTqt3E2YJkEUOLfcH0b89wYRKTbJ9Yj6h_GRgSoZoQO0cps3yUPcWGK3smCw"
    );
    let parties = Parties { issuer: "uCDN Inc", audience: "cdni.example", aliases: &[] };
    let token = Token::verify(&text, &[rfc_key()], parties).expect("valid");
    let at = Duration::from_secs;
    assert_eq!(token.permits("http://cdni.example/foo/bar", at(1_646_867_368)), Ok(()));
    assert_eq!(token.permits("http://cdni.example/foo/bar", at(1_646_867_369)), Err(TokenError::Expired));
    assert_eq!(token.permits("http://cdni.example/foo/baz", at(0)), Err(TokenError::OtherUrl));
    assert_eq!(Token::verify(&text, &[rfc_key()], PARTIES).map(drop), Err(TokenError::Party));
}

#[test]
fn the_example_of_the_rfc_that_asks_for_renewal_is_refused() {
    // RFC 9246 appendix A.3: cdnistt 1
    let text = format!(
        "{RFC_HEADER}.eyJjZG5pZXRzIjozMCwiY2RuaXN0dCI6MSwiY2RuaXN0ZCI6MiwiZXhwIjoxNjQ2ODY3MzY5LCJjZG5pdWMiOiJyZWdleDpodHRwOi8vY2RuaVxcLmV4YW1wbGUvZm9vL2Jhci9bMC05XXszfVxcLnRzIn0.tlPvoKw3BCClw4Lx9PQu7MK6b2IN55ZoCPSaxovGK0zS53Wpb1MbJBow7G8LiGR39h6-2Iq7PWUSr3MdTIzHYw"
    );
    assert_eq!(Token::verify(&text, &[rfc_key()], PARTIES).map(drop), Err(TokenError::Claim));
}

#[test]
fn a_grant_permits_what_it_says_with_either_algorithm() {
    for algorithm in [Algorithm::Ed25519, Algorithm::Es256] {
        let key = signing_key(algorithm);
        let at = Duration::from_secs;
        for urls in [Urls::One(URL.into()), Urls::Pattern(r"https://site\.test/video/[0-9]{3}\.ts".into())] {
            let grant = Grant { issuer: Some("AC1".into()), expires: 20, not_before: Some(10), urls };
            let text = grant.sign(&key).expect("signs");
            let token = Token::verify(&text, &[key.public().clone()], PARTIES).expect("valid");
            assert_eq!(token.permits(URL, at(9)), Err(TokenError::NotYet));
            assert_eq!(token.permits(URL, at(10)), Ok(()));
            assert_eq!(token.permits(URL, at(20)), Err(TokenError::Expired));
            assert_eq!(token.permits("https://site.test/video/1.ts", at(10)), Err(TokenError::OtherUrl));
        }
    }
}

#[test]
fn every_claim_is_enforced_or_refused() {
    let with = |claims: &str| format!(r#"{{"cdniuc":"regex:.*",{claims}}}"#);
    let cases = [
        (with(&format!(r#""exp":{NOW}"#)), Err(TokenError::Expired)),
        (with(&format!(r#""exp":{NOW}.5"#)), Ok(())),
        (with(&format!(r#""nbf":{NOW}"#)), Ok(())),
        (with(&format!(r#""nbf":{NOW}.5"#)), Err(TokenError::NotYet)),
        (with(r#""iat":9e99,"sub":"x","cdniv":1,"cdnistt":0,"cdniets":30,"cdnistd":2"#), Ok(())),
        (with(r#""iss":"AC1""#), Ok(())),
        (with(r#""iss":"AC2""#), Err(TokenError::Party)),
        (with(r#""aud":"site.test""#), Ok(())),
        (with(r#""aud":["other.test","site.test"]"#), Ok(())),
        (with(r#""aud":"other.test""#), Err(TokenError::Party)),
        (with(r#""aud":[]"#), Err(TokenError::Party)),
        (with(r#""cdniv":2"#), Err(TokenError::Claim)),
        (with(r#""cdnistt":1"#), Err(TokenError::Claim)),
        (with(r#""jti":"once""#), Err(TokenError::Claim)),
        (with(r#""cdniip":"x""#), Err(TokenError::Claim)),
        (with(r#""cdnicrit":"x","x":1"#), Err(TokenError::Claim)),
        (with(r#""x":1"#), Err(TokenError::Claim)),
        (with(r#""exp":null"#), Err(TokenError::Malformed)),
        (with(r#""exp":"1""#), Err(TokenError::Malformed)),
        (with(r#""exp":1e999"#), Err(TokenError::Malformed)),
        (with(r#""exp":1,"exp":9999999999"#), Err(TokenError::Malformed)),
        (with(r#""cdnistd":-1"#), Err(TokenError::Malformed)),
        ("{}".into(), Err(TokenError::Malformed)),
        ("[]".into(), Err(TokenError::Malformed)),
        (r#"{"cdniuc":"x"}"#.into(), Err(TokenError::Pattern)),
        (r#"{"cdniuc":"hash:sha-256-32;AAAAAA"}"#.into(), Err(TokenError::Pattern)),
        (r#"{"cdniuc":"hash:sha-256;"}"#.into(), Err(TokenError::OtherUrl)),
    ];
    for (claims, expected) in cases {
        assert_eq!(outcome(&claims), expected, "{claims}");
    }
}

#[test]
fn a_pattern_matches_the_whole_url() {
    let cases = [
        (r"[^:]*\://[^/]*/video/[0-9]{3}\.ts(\?.*)?", Ok(())),
        (r"https://site\.test/video/.*", Ok(())),
        (r"https://site\.test/video/[[:digit:]]+\.ts", Ok(())),
        (r"https://site\.test/video/", Err(TokenError::OtherUrl)),
        (r"/video/001\.ts", Err(TokenError::OtherUrl)),
        (r"https://other\.test/.*", Err(TokenError::OtherUrl)),
        (r"HTTPS://.*", Err(TokenError::OtherUrl)),
        ("(", Err(TokenError::Pattern)),
        (r"(a)\1", Err(TokenError::Pattern)),
        ("((a{200}){200}){200}", Err(TokenError::Pattern)),
        (r"(?:https?://.*)", Ok(())),
    ];
    for (text, expected) in cases {
        assert_eq!(outcome(&pattern(text)), expected, "{text}");
    }
}

#[test]
fn a_pattern_that_explodes_elsewhere_takes_linear_time() {
    let container = Container::read("regex:(a+)+(a|aa)+(a*)*b").expect("small");
    assert!(!container.holds(&"a".repeat(100_000)));
}

#[test]
fn only_the_algorithm_of_the_key_counts() {
    let key = signing_key(Algorithm::Ed25519);
    let keys = [key.public().clone()];
    let claims = pattern(".*");
    let verify = |text: &str| Token::verify(text, &keys, PARTIES).map(drop);
    for algorithm in ["none", "None", "HS256", "ES256", "eddsa", "Ed25519", ""] {
        let header = json!({ "alg": algorithm, "kid": key.public().id() });
        assert_eq!(verify(&token(&key, &header, &claims)), Err(TokenError::Algorithm), "{algorithm}");
    }
    // The public key taken for the secret of an HMAC.
    let header = json!({ "alg": "HS256", "kid": key.public().id() });
    let signed =
        format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(&claims));
    let secret = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key.public().as_bytes());
    let tag = aws_lc_rs::hmac::sign(&secret, signed.as_bytes());
    let confused = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag));
    assert_eq!(verify(&confused), Err(TokenError::Algorithm));
    // Unsigned.
    let none = json!({ "alg": "none", "kid": key.public().id() });
    let unsigned =
        format!("{}.{}.", URL_SAFE_NO_PAD.encode(none.to_string()), URL_SAFE_NO_PAD.encode(&claims));
    assert_eq!(verify(&unsigned), Err(TokenError::Algorithm));
}

#[test]
fn keys_are_named_and_no_other_key_is_tried() {
    let (key, other) = (signing_key(Algorithm::Ed25519), signing_key(Algorithm::Ed25519));
    let claims = pattern(".*");
    let verify = |text: &str, keys: &[PublicKey]| Token::verify(text, keys, PARTIES).map(drop);
    let right = token(&key, &header(&key), &claims);
    let both = [other.public().clone(), key.public().clone()];
    assert_eq!(verify(&right, &both), Ok(()));
    assert_eq!(verify(&right, &both[..1]), Err(TokenError::UnknownKey));
    assert_eq!(verify(&right, &[]), Err(TokenError::UnknownKey));
    assert_eq!(verify(&token(&other, &header(&key), &claims), &both), Err(TokenError::Signature));
    let unnamed = json!({ "alg": "EdDSA" });
    assert_eq!(verify(&token(&key, &unnamed, &claims), &both), Err(TokenError::Malformed));
    let embedded = json!({ "alg": "EdDSA", "kid": "x", "jwk": { "kty": "OKP" } });
    assert_eq!(verify(&token(&key, &embedded, &claims), &both), Err(TokenError::UnknownKey));
}

#[test]
fn what_is_no_token_is_malformed() {
    let key = signing_key(Algorithm::Ed25519);
    let keys = [key.public().clone()];
    let right = token(&key, &header(&key), &pattern(".*"));
    let with = |name: &str, value: Value| {
        let mut header = header(&key);
        header[name] = value;
        token(&key, &header, &pattern(".*"))
    };
    let cases = [
        (String::new(), TokenError::Malformed),
        ("a.b".into(), TokenError::Malformed),
        (format!("{right}."), TokenError::Malformed),
        (format!("{right}="), TokenError::Malformed),
        (right.replacen('.', "..", 1), TokenError::Malformed),
        ("a".repeat(TOKEN_LEN_MAX + 1), TokenError::TooLong),
        // RFC 7515 §4.1.11
        (with("crit", json!(["b64"])), TokenError::Malformed),
        (with("crit", Value::Null), TokenError::Malformed),
        (with("typ", json!("JOSE+JSON")), TokenError::Malformed),
    ];
    for (text, expected) in cases {
        assert_eq!(Token::verify(&text, &keys, PARTIES).map(drop), Err(expected), "{text}");
    }
    assert!(Token::verify(&with("typ", json!("jwt")), &keys, PARTIES).is_ok());
}

#[test]
fn a_changed_token_is_refused_wherever_it_was_changed() {
    let key = signing_key(Algorithm::Es256);
    let keys = [key.public().clone()];
    let right = token(&key, &header(&key), &pattern(".*"));
    for at in 0..right.len() {
        let mut changed = right.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).expect("ASCII");
        assert!(Token::verify(&changed, &keys, PARTIES).is_err(), "{changed}");
    }
}
