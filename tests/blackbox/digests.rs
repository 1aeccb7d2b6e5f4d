//! Digests that a publisher declares (RFC 9530, or BLAKE3): other bytes than declared are refused, and change nothing.

use crate::harness::{Answer, Api, Dev, block_on, bytes, files_below, hash, sha256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use skerry_proto::wire;

/// Fields of a request's header.
type Fields<'a> = &'a [(&'static str, &'a str)];

/// An API with one asset that versions can be uploaded of.
struct Uploads {
    dev: Dev,
    api: Api,
    versions: String,
}

impl Uploads {
    #[track_caller]
    fn start() -> Self {
        let dev = Dev::start();
        let api = Api::new(dev.line().text("/api"), dev.line().account());
        let service = dev.line().text("/service_sid").to_owned();
        let asset = api.create(&format!("/v1/Services/{service}/Assets"), &[("FriendlyName", "a")]);
        let versions = format!("/v1/Services/{service}/Assets/{asset}/Versions");
        Self { dev, api, versions }
    }

    /// Uploads with header fields of the request and of the part, and a further part.
    #[track_caller]
    fn upload(&self, header: Fields<'_>, part: &str, blake3: Option<&str>, content: &[u8]) -> Answer {
        let api = header.iter().fold(self.api.clone(), |api, (name, value)| api.with(name, value));
        api.upload(&self.versions, &parts(&fields(part), blake3, content))
    }

    /// What the origin keeps: files of blobs, and versions of the asset.
    fn kept(&self) -> (usize, usize) {
        let files = files_below(&self.dev.data().join("origin/blobs")).len();
        let listed = self.api.get(&format!("{}?PageSize=100", self.versions));
        (files, listed.body["asset_versions"].as_array().expect("versions").len())
    }
}

fn fields(part: &str) -> String {
    format!("; filename=\"a\"\r\nContent-Type: text/plain{part}")
}

fn parts<'a>(
    fields: &'a str,
    blake3: Option<&'a str>,
    content: &'a [u8],
) -> Vec<(&'a str, &'a str, &'a [u8])> {
    let mut parts: Vec<(&str, &str, &[u8])> =
        vec![("Content", fields, content), ("Path", "", b"/a"), ("Visibility", "", b"public")];
    parts.extend(blake3.map(|hash| ("Blake3", "", hash.as_bytes())));
    parts
}

fn field(content: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(sha256(content)))
}

#[test]
fn the_rest_api_takes_what_is_declared_rightly_wherever_that_stands() {
    let uploads = Uploads::start();
    let content = bytes(1, 700_000);
    let right = field(&content);
    let of_form = field(&Api::form(&parts(&fields(""), None, &content)));
    let others = format!("sha-512=:AAAA:, {right};note=1, unixsum=:AAA=:");
    let blake3 = hash(&content);
    let accepted: [(Fields<'_>, String, Option<&str>); 9] = [
        (&[], format!("\r\nRepr-Digest: {right}"), None),
        (&[], format!("\r\ncontent-digest: {others}"), None),
        (&[("repr-digest", &right)], String::new(), None),
        (&[("content-digest", &right)], String::new(), None),
        (&[("content-digest", &of_form), ("repr-digest", &right)], String::new(), None),
        (&[("content-digest", &of_form)], String::new(), None),
        (&[("repr-digest", "sha-512=:AAAA:, md5=:AAAA:")], String::new(), None),
        (&[], String::new(), Some(&blake3)),
        (&[("repr-digest", &right)], format!("\r\nContent-Digest: {right}"), Some(&blake3.to_uppercase())),
    ];
    for (header, part, blake3) in accepted {
        let answer = uploads.upload(header, &part, blake3, &content);
        assert_eq!(answer.status, 201, "{header:?} {part} {blake3:?}: {answer:?}");
    }
}

#[test]
fn the_rest_api_refuses_other_bytes_than_declared_and_keeps_nothing() {
    let uploads = Uploads::start();
    let (content, other) = (bytes(1, 700_000), bytes(2, 700_000));
    let (right, wrong, wrong_blake3) = (field(&content), field(&other), hash(&other));
    let before = uploads.kept();
    let mismatches: [(Fields<'_>, String, Option<&str>, &str); 7] = [
        (&[], format!("\r\nRepr-Digest: {wrong}"), None, "SHA-256"),
        (&[], format!("\r\nContent-Digest: {wrong}"), None, "SHA-256"),
        (&[], format!("\r\nRepr-Digest: {right}\r\nContent-Digest: {wrong}"), None, "SHA-256"),
        (&[("repr-digest", &wrong)], String::new(), None, "SHA-256"),
        (&[("content-digest", &wrong), ("repr-digest", &right)], String::new(), None, "SHA-256"),
        (&[], String::new(), Some(&wrong_blake3), "BLAKE3"),
        (&[("repr-digest", &right)], String::new(), Some(&wrong_blake3), "BLAKE3"),
    ];
    for (header, part, blake3, algorithm) in mismatches {
        let answer = uploads.upload(header, &part, blake3, &content);
        answer.assert_refused(400, 20001, &[algorithm, "another", "than was declared", "nothing was stored"]);
    }
    let malformed: [(Fields<'_>, &str, Option<&str>, &str); 6] = [
        (&[("repr-digest", "sha-256")], "", None, "repr-digest"),
        (&[("content-digest", "sha-256=\"x\"")], "", None, "content-digest"),
        (&[("repr-digest", "sha-256=:AAAA:")], "", None, "32 bytes"),
        (&[], "\r\nRepr-Digest: =", None, "repr-digest"),
        (&[], "", Some("abc"), "Blake3"),
        (&[], "", Some(""), "Blake3"),
    ];
    for (header, part, blake3, word) in malformed {
        uploads.upload(header, part, blake3, &content).assert_refused(400, 20001, &[word]);
    }
    assert_eq!(uploads.kept(), before);
}

#[test]
fn grpc_refuses_other_bytes_than_declared_and_keeps_nothing() {
    let uploads = Uploads::start();
    let publisher = uploads.dev.publisher();
    let content = bytes(1, 700_000);
    let digest = |content: &[u8]| {
        let hash: skerry_proto::hash::Hash = hash(content).parse().expect("a hash");
        (Bytes::copy_from_slice(hash.as_bytes()), Bytes::copy_from_slice(&sha256(content)))
    };
    let upload = |blake3: &Bytes, sha256: &Bytes| {
        let head = wire::UploadHead {
            path: "/a".into(),
            visibility: wire::Visibility::Public.into(),
            size: content.len() as u64,
            blake3: blake3.clone(),
            sha256: sha256.clone(),
            ..wire::UploadHead::default()
        };
        block_on(publisher.upload_with(head, content.clone()))
    };
    let (none, (blake3, sha256), (other_blake3, other_sha256)) =
        (Bytes::new(), digest(&content), digest(b"other"));
    let before = uploads.kept();
    let cases = [
        (&other_blake3, &none, "digest_mismatch", "BLAKE3"),
        (&none, &other_sha256, "digest_mismatch", "SHA-256"),
        (&blake3, &other_sha256, "digest_mismatch", "SHA-256"),
        (&Bytes::from_static(b"short"), &none, "invalid_digest", "32 bytes"),
    ];
    for (blake3, sha256, code, word) in cases {
        let status = upload(blake3, sha256).expect_err("refused");
        assert_eq!(status.code(), tonic::Code::InvalidArgument, "{status:?}");
        assert_eq!(status.metadata().get("skerry-code").expect("a code"), code);
        assert!(status.message().contains(word), "{status:?}");
    }
    assert_eq!(uploads.kept(), before);
    for (blake3, sha256) in [(&blake3, &none), (&none, &sha256), (&blake3, &sha256)] {
        upload(blake3, sha256).expect("stored");
    }
}
