//! What the official validators decide, as tables. The vectors of token `12345` and `mycompany.com` are those that the helper
//! libraries publish with their tests; the others were made with PyPI twilio 9.13.

use super::*;

const TOKEN: &str = "12345";
const TARGET: &str = "/myapp.php?foo=1&bar=2";
const FORM: &str =
    "CallSid=CA1234567890ABCDE&Digits=1234&From=%2B14158675309&To=%2B18005551212&Caller=%2B14158675309";
const URL_SIGNATURE: &str = "zYQTYrRWXE7LtzbG4PfP7/bkkGo=";
const FORM_SIGNATURE: &str = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";

fn secrets(key_id: Option<&str>, secret: &str) -> Vec<Secret> {
    Algorithm::ALL
        .map(|algorithm| Secret {
            key_id: key_id.map(str::to_owned),
            midstates: Midstates::of(algorithm, secret.as_bytes()),
        })
        .into()
}

fn presented(signature: &str, settings: Option<&str>) -> Presented {
    Presented::read([signature.as_bytes()], settings.map(str::as_bytes))
        .expect("well-formed")
        .expect("a signature")
}

fn request<'a>(target: &'a str, body: Body<'a>) -> SignedRequest<'a> {
    SignedRequest { scheme: "https", host: "mycompany.com", port: 443, target, body }
}

fn is_signed(request: SignedRequest<'_>, signature: &str) -> bool {
    request.is_signed_by(&secrets(None, TOKEN), &presented(signature, None)) == Ok(true)
}

#[test]
fn the_published_vectors_verify() {
    assert!(is_signed(request(TARGET, Body::Empty), URL_SIGNATURE));
    assert!(is_signed(request(TARGET, Body::Form(FORM.as_bytes())), FORM_SIGNATURE));
    let body = br#"{"property": "value", "boolean": true}"#;
    let target =
        format!("{TARGET}&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620");
    assert!(is_signed(request(&target, Body::Other(body)), "a9nBmqA0ju/hNViExpshrM61xv4="));
}

#[test]
fn repeated_fields_count_once_and_in_order() {
    let form = b"SidAccount=AC123&Digits=5678&Sid=CA123&Digits=1234&Digits=1234";
    assert!(is_signed(request(TARGET, Body::Form(form)), "IK+Dwps556ElfBT0I3Rgjkr1wJU="));
}

#[test]
fn every_changed_part_of_a_request_is_refused() {
    let right = request(TARGET, Body::Form(FORM.as_bytes()));
    let changed = [
        SignedRequest { scheme: "http", ..right },
        SignedRequest { host: "mycompany.org", ..right },
        SignedRequest { target: "/myapp.php?bar=2&foo=1", ..right },
        SignedRequest { target: "/myapp.php", ..right },
        SignedRequest { target: "/./myapp.php?foo=1&bar=2", ..right },
        SignedRequest { body: Body::Empty, ..right },
        SignedRequest { body: Body::Other(FORM.as_bytes()), ..right },
        SignedRequest { body: Body::Form(b"CallSid=CA1234567890ABCDE"), ..right },
    ];
    for changed in changed {
        assert!(!is_signed(changed, FORM_SIGNATURE), "{changed:?}");
    }
    assert!(!is_signed(right, URL_SIGNATURE));
    let other = right.is_signed_by(&secrets(None, "12346"), &presented(FORM_SIGNATURE, None));
    assert_eq!(other, Ok(false));
}

#[test]
fn urls_are_signed_with_or_without_the_public_port() {
    let midstates = Midstates::of(Algorithm::Sha1, TOKEN.as_bytes());
    let at = |port| SignedRequest { port, ..request("/a?q=1", Body::Empty) };
    for (url, port, expected) in [
        ("https://mycompany.com/a?q=1", 443, true),
        ("https://mycompany.com:443/a?q=1", 443, true),
        ("https://mycompany.com/a?q=1", 8443, true),
        ("https://mycompany.com:8443/a?q=1", 8443, true),
        ("https://mycompany.com:443/a?q=1", 8443, false),
        ("https://mycompany.com:8443/a?q=1", 443, false),
    ] {
        assert_eq!(is_signed(at(port), &sign(&midstates, url)), expected, "{url} at port {port}");
    }
    assert_eq!(sign(&midstates, "https://mycompany.com:8443/a?q=1"), "26k8dQ09GdyhYoJdp1OOoLx+VNM=");
}

#[test]
fn a_host_in_capitals_is_signed_as_sent_or_in_lower_case() {
    let midstates = Midstates::of(Algorithm::Sha1, TOKEN.as_bytes());
    let request = SignedRequest { host: "MyCompany.com", ..request("/a", Body::Empty) };
    assert!(is_signed(request, &sign(&midstates, "https://MyCompany.com/a")));
    assert!(is_signed(request, &sign(&midstates, "https://mycompany.com:443/a")));
    assert!(!is_signed(request, &sign(&midstates, "https://MYCOMPANY.com/a")));
}

#[test]
fn the_target_counts_byte_by_byte() {
    let midstates = Midstates::of(Algorithm::Sha1, TOKEN.as_bytes());
    for target in ["/x?", "/a/../b", "/it's?q='", "/%7e?a=b+c&a=%20", "//a", "/?x=1"] {
        let signature = sign(&midstates, &format!("https://mycompany.com{target}"));
        assert!(is_signed(request(target, Body::Empty), &signature), "{target}");
    }
    let signature = sign(&midstates, "https://mycompany.com/x?q=%27");
    assert!(!is_signed(request("/x?q='", Body::Empty), &signature));
}

#[test]
fn a_body_that_is_no_form_needs_its_hash_in_lower_case() {
    let midstates = Midstates::of(Algorithm::Sha1, TOKEN.as_bytes());
    let hash = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620";
    let body = Body::Other(br#"{"property": "value", "boolean": true}"#);
    for (query, expected) in [
        (format!("?bodySHA256={hash}"), true),
        (format!("?bodySHA256={hash}&bodySHA256=0"), true),
        (format!("?bodySHA256=0&bodySHA256={hash}"), false),
        (format!("?bodySHA256={}", hash.to_uppercase()), false),
        (format!("?bodysha256={hash}"), false),
        (String::new(), false),
    ] {
        let target = format!("/a{query}");
        let signature = sign(&midstates, &format!("https://mycompany.com{target}"));
        assert_eq!(is_signed(request(&target, body), &signature), expected, "{query}");
    }
}

#[test]
fn a_shared_key_is_chosen_by_its_id_and_its_algorithm() {
    let mut all = secrets(None, TOKEN);
    all.push(Secret { key_id: Some("k1".into()), midstates: Midstates::of(Algorithm::Sha256, b"shared") });
    let request = request(TARGET, Body::Empty);
    let url = format!("https://mycompany.com{TARGET}");
    let by = |algorithm, secret: &str| sign(&Midstates::of(algorithm, secret.as_bytes()), &url);
    let cases = [
        (by(Algorithm::Sha256, "shared"), "key=k1,algorithm=HMAC_SHA256", true),
        (by(Algorithm::Sha256, "shared"), " key = k1 , algorithm = hmac_sha256 ", true),
        (by(Algorithm::Sha256, "shared"), "key=k2,algorithm=HMAC_SHA256", false),
        // The key is configured for the other algorithm.
        (by(Algorithm::Sha1, "shared"), "key=k1,algorithm=HMAC_SHA1", false),
        (by(Algorithm::Sha1, "shared"), "key=k1", false),
        // A key is no token, and a token no key.
        (by(Algorithm::Sha256, "shared"), "algorithm=HMAC_SHA256", false),
        (by(Algorithm::Sha256, TOKEN), "key=k1,algorithm=HMAC_SHA256", false),
        (by(Algorithm::Sha256, TOKEN), "algorithm=HMAC_SHA256", true),
        (by(Algorithm::Sha1, TOKEN), "", true),
        (by(Algorithm::Sha1, TOKEN), "algorithm=", true),
        (by(Algorithm::Sha1, TOKEN), "algorithm=HMAC_MD5", false),
    ];
    for (signature, settings, expected) in cases {
        let presented = presented(&signature, Some(settings));
        assert_eq!(request.is_signed_by(&all, &presented), Ok(expected), "{settings:?}");
    }
}

#[test]
fn what_cannot_be_a_signature_is_malformed_and_not_wrong() {
    let of_20 = STANDARD.encode([0; 20]);
    let of_32 = STANDARD.encode([0; 32]);
    let cases: [(&[&str], Option<&str>, Malformed); 8] = [
        (&[""], None, Malformed::WrongLength),
        (&["%"], None, Malformed::NotBase64),
        (&[&of_20[..27]], None, Malformed::NotBase64),
        (&["ICAgICAgICAgICAgICAgICAgICA"], None, Malformed::NotBase64),
        (&[&of_32], None, Malformed::WrongLength),
        (&[&of_32], Some("algorithm=HMAC_SHA1"), Malformed::WrongLength),
        (&[&of_20], Some("algorithm=HMAC_SHA256"), Malformed::WrongLength),
        (&[&of_20, &of_20], None, Malformed::Repeated),
    ];
    for (signatures, settings, expected) in cases {
        let read =
            Presented::read(signatures.iter().map(|text| text.as_bytes()), settings.map(str::as_bytes));
        assert_eq!(read, Err(expected), "{signatures:?} {settings:?}");
    }
    let settings: [&[u8]; 2] = [b"", b""];
    assert_eq!(Presented::read([of_20.as_bytes()], settings), Err(Malformed::Repeated));
    assert_eq!(Presented::read([], []), Ok(None));
    assert_eq!(Presented::read([], [&b"key=k"[..]]), Ok(None));
}
