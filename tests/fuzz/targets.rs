//! One function for each parser of bytes that come from outside. None may panic, whatever the bytes; some promise more, and check it.
//!
//! `main.rs` replays the corpus with every test run; `libfuzzer/` looks for new inputs.

use crate::{connections, requests};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use rustls::pki_types::CertificateDer;
use skerry_proto::authority::Authority;
use skerry_proto::bundle::Contents;
use skerry_proto::bundle::archive::Reader;
use skerry_proto::domain::CustomDomain;
use skerry_proto::hmac::{Algorithm, Midstates};
use skerry_proto::join::JoinToken;
use skerry_proto::key_chain::KeyChain;
use skerry_proto::manifest::{Entry, Representation};
use skerry_proto::paging::Root;
use skerry_proto::path::AssetPath;
use skerry_proto::pointer::Pointer;
use skerry_proto::renewal::{self, RenewalError};
use skerry_proto::signature::{Context, KeySet, SigningKey};
use skerry_proto::signed_url::key::{self, SigningKey as UrlKey};
use skerry_proto::signed_url::{Package, Parties, Token, normalised};
use skerry_proto::slices::{BlobId, SliceList};
use skerry_proto::twilio::{Body, Presented, Secret, SignedRequest};
use skerry_proto::visibility::Visibility;
use skerry_proto::{document, history, manifest, wire};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

/// Takes any bytes; panics only where a promise is broken.
pub(crate) type Target = fn(&[u8]);

/// Every target by name, ascending; `corpus/` has a file of inputs for each.
pub(crate) const TARGETS: [(&str, Target); 18] = [
    ("asset_path", asset_path),
    ("bundle", bundle),
    ("digest", digest),
    ("domain", domain),
    ("history", history),
    ("http1_requests", connections::http1_requests),
    ("http2_frames", connections::http2_frames),
    ("http3_frames", connections::http3_frames),
    ("join_token", join_token),
    ("key_set", key_set),
    ("manifest", manifest),
    ("pointer", pointer),
    ("renewal", renewal),
    ("request", requests::request),
    ("signed_request", signed_request),
    ("signed_url", signed_url),
    ("site_file", site_file),
    ("slice_list", slice_list),
];

fn asset_path(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(path) = text.parse::<AssetPath>() {
        let decoded = percent_encoding::percent_decode_str(&path.to_url_path())
            .decode_utf8()
            .expect("UTF-8")
            .into_owned();
        assert_eq!(decoded, text, "a path comes back from its URL");
    }
}

fn digest(bytes: &[u8]) {
    let _ = skerry_proto::digest::sha256(bytes);
}

fn domain(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(domain) = CustomDomain::parse(text, "cdn.example.com") else { return };
    let again = CustomDomain::parse(domain.as_str(), "cdn.example.com");
    assert_eq!(again.as_ref(), Ok(&domain), "one spelling is one spelling");
    let is_host = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
    assert!(domain.as_str().bytes().all(is_host), "every edge takes it");
}

/// What is accepted can be published, and is the same at the edges.
fn site_file(bytes: &[u8]) {
    let entry = |path: &str, visibility| Entry {
        path: path.parse().expect("a path"),
        visibility,
        content_type: "text/html".into(),
        modified: 0,
        representations: vec![Representation {
            encoding: String::new(),
            blob: BlobId::of(b""),
            sha256: [0; 32],
        }],
        cache_control: None,
        fields: Vec::new(),
    };
    let mut entries =
        vec![entry("/a/b.css", Visibility::Public), entry("/index.html", Visibility::Protected)];
    match skerry_origin::apply_site_file(bytes, &mut entries) {
        Ok(rules) => {
            let written = manifest::write(&entries, &rules).expect("what is accepted can be written");
            let root = manifest::read_root(&written.root).expect("what was written can be read");
            assert_eq!(root.rules, rules);
            let Root::Single(read) = root.entries else { panic!("two entries are one page") };
            assert_eq!(read, entries);
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            assert!(problems.iter().all(|problem| problem.starts_with("line ")), "{problems:?}");
        }
    }
}

fn manifest(bytes: &[u8]) {
    let _ = manifest::read_page(bytes, 4, 3);
    let Ok(root) = manifest::read_root(bytes) else { return };
    if let Root::Single(entries) = root.entries {
        let written = manifest::write(&entries, &root.rules).expect("what was read can be written");
        let again = manifest::read_root(&written.root).expect("what was written can be read");
        assert_eq!(again.rules, root.rules);
    }
}

fn history(bytes: &[u8]) {
    let _ = history::read_page(bytes, 4, 3);
    if let Ok(Root::Single(entries)) = history::read_root(bytes) {
        history::write(&entries).expect("what was read can be written");
    }
}

fn join_token(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(token) = text.parse::<JoinToken>() {
        token.to_text().parse::<JoinToken>().expect("a token survives its text");
    }
}

fn key_set(bytes: &[u8]) {
    if let Ok(set) = KeySet::decode(bytes) {
        assert_eq!(KeySet::decode(&set.encode()), Ok(set));
    }
    // Behind right signatures of the set before, so that what comes after them is reached.
    let (key, keys) = &*KEY;
    let key_set = Bytes::copy_from_slice(bytes);
    let signature = key.sign(Context::KeySet, &key_set);
    let key_id = Bytes::copy_from_slice(key.id().as_bytes());
    let signatures = vec![wire::KeySetSignature { key_id, signature }];
    let mut chain = KeyChain::new(keys.clone());
    match chain.extend(&wire::SignedKeySet { key_set, signatures }) {
        Ok(true) => assert_eq!(chain.current().number, keys.number + 1),
        Ok(false) | Err(_) => assert_eq!(chain.current(), keys),
    }
}

/// A certificate that nobody of us gave to an edge renews nothing, whatever it is.
fn renewal(bytes: &[u8]) {
    static AUTHORITY: LazyLock<CertificateDer<'static>> = LazyLock::new(|| {
        Authority::generate("fuzzed", SystemTime::UNIX_EPOCH).expect("randomness").certificate
    });
    let checked = renewal::check(&AUTHORITY, bytes, bytes, bytes, SystemTime::UNIX_EPOCH, Duration::MAX);
    assert_eq!(checked, Err(RenewalError::Certificate));
}

/// Documents are put behind a right signature, so that their parser is reached.
static KEY: LazyLock<(SigningKey, KeySet)> = LazyLock::new(|| {
    let key = SigningKey::from_pkcs8(&SigningKey::generate().expect("randomness")).expect("own key");
    let public = key.public_key().try_into().expect("32 bytes");
    (key, KeySet { number: 1, cluster_id: [1; 16], keys: vec![public] })
});

/// The contents of a bundle, and the beginning of an archive.
fn bundle(bytes: &[u8]) {
    let (key, keys) = &*KEY;
    assert!(Reader::open(bytes, keys).is_err(), "nobody signed this");
    let document = Bytes::copy_from_slice(bytes);
    let signature = key.sign(Context::Bundle, &document);
    let key_id = Bytes::copy_from_slice(key.id().as_bytes());
    let signed = document::encode(&wire::SignedBundle { bundle: document, signature, key_id });
    if let Ok(contents) = Contents::open(&signed, keys) {
        let signed = contents.sign(key).expect("what was read can be signed");
        assert_eq!(Contents::open(&signed, keys).expect("own contents"), contents);
    }
}

fn pointer(bytes: &[u8]) {
    let (key, keys) = &*KEY;
    let document = Bytes::copy_from_slice(bytes);
    let signature = key.sign(Context::Pointer, &document);
    let key_id = Bytes::copy_from_slice(key.id().as_bytes());
    let signed = wire::SignedPointer { pointer: document, signature, key_id };
    if let Ok(pointer) = Pointer::open(&signed, keys) {
        assert_eq!(Pointer::open(&pointer.sign(key), keys).expect("own pointer"), pointer);
    }
}

/// Size, list and one slice of a blob that nobody has.
fn slice_list(bytes: &[u8]) {
    let Some((head, rest)) = bytes.split_first_chunk::<10>() else { return };
    let [a, b, c, d, e, f, g, h, length, index] = *head;
    let size = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    let (values, slice) = rest.split_at(rest.len().min(usize::from(length) * 32));
    let mut blob = BlobId::of(slice);
    blob.size = size;
    let list =
        SliceList::trivial(blob).map_or_else(|| SliceList::verify(blob, Bytes::copy_from_slice(values)), Ok);
    if let Ok(list) = list
        && let Ok(verified) = list.check(index.into(), Bytes::copy_from_slice(slice))
    {
        assert_eq!(verified.bytes(), slice);
    }
}

/// A target, a field with a signature, one with its settings, and a body, a line each.
fn signed_request(bytes: &[u8]) {
    let mut lines = bytes.splitn(4, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let Ok(target) = std::str::from_utf8(line()) else { return };
    let Ok(Some(presented)) = Presented::read([line()], [line()]) else { return };
    let body = line();
    let secrets = [Algorithm::Sha1, Algorithm::Sha256].map(|algorithm| Secret {
        key_id: None,
        midstates: Midstates::of(algorithm, b"a token that nobody knows"),
    });
    for body in [Body::Empty, Body::Form(body), Body::Other(body)] {
        let request = SignedRequest { scheme: "https", host: "site.test", port: 443, target, body };
        assert_ne!(request.is_signed_by(&secrets, &presented), Ok(true), "a signature cannot be guessed");
    }
}

/// A target with a token in it, as it comes; and the claims of one, behind a right signature.
fn signed_url(bytes: &[u8]) {
    static KEY: LazyLock<UrlKey> = LazyLock::new(|| {
        let pem = UrlKey::generate(key::Algorithm::Ed25519).expect("randomness");
        UrlKey::from_pem(pem.as_bytes()).expect("own key")
    });
    let (signing, public) = (&*KEY, KEY.public());
    let parties = Parties { issuer: "AC0123", audience: "site.test", aliases: &[] };
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(Some(package)) = Package::find(text) {
        let forged = Token::verify(package.token, std::slice::from_ref(public), parties);
        assert!(forged.is_err(), "a token cannot be guessed");
    }
    if let Some(url) = normalised(text) {
        assert_eq!(normalised(&url).as_ref(), Some(&url), "one spelling is one spelling");
    }
    let encode = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
    let head = format!(r#"{{"alg":"EdDSA","kid":"{}"}}"#, public.id());
    let message = format!("{}.{}", encode(head.as_bytes()), encode(bytes));
    let signature = signing.sign(message.as_bytes()).expect("signs");
    let token = format!("{message}.{}", encode(&signature));
    if let Ok(token) = Token::verify(&token, std::slice::from_ref(public), parties) {
        let _ = token.permits("https://site.test/a", Duration::from_secs(1_700_000_000));
    }
}
