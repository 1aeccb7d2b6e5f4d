//! Who may call what on the origin's gRPC listener, and what of an account nobody else can have.

use crate::harness::{Dev, EdgeCertificate, Protocol, block_on, bytes, channel, fill, hash, watch};
use bytes::Bytes;
use skerry_proto::wire::{self, Visibility};
use tonic::Code;
use tonic::transport::Channel;

fn url(dev: &Dev) -> &str {
    dev.line().text("/grpc")
}

/// A channel that shows no certificate.
fn nobody(dev: &Dev) -> Channel {
    channel(url(dev), &dev.line().authority(), None)
}

/// A channel of an edge that has just enrolled.
fn edge(dev: &Dev) -> Channel {
    let token = block_on(dev.publisher().join_token()).expect("the operator may");
    let certificate = block_on(EdgeCertificate::enrol(url(dev), &token)).expect("a fresh token");
    channel(url(dev), &dev.line().authority(), Some(&certificate))
}

#[track_caller]
fn assert_denied<T>(result: Result<T, tonic::Status>) {
    match result {
        Ok(_) => panic!("allowed"),
        Err(status) => {
            assert!(matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied), "{status:?}");
        }
    }
}

#[test]
fn watch_and_fill_without_a_certificate_are_refused() {
    let dev = Dev::start();
    let content = bytes(1, 1000);
    dev.cli().put("/a.bin", &content);
    assert_denied(watch(nobody(&dev)));
    assert_denied(fill(nobody(&dev), dev.line().text("/account_sid"), &hash(&content), 1));
}

#[test]
fn an_enrolled_edge_may_watch_and_fill() {
    let dev = Dev::start();
    let content = bytes(2, 600_000);
    dev.cli().put("/a.bin", &content);
    let edge = edge(&dev);
    let first = watch(edge.clone()).expect("allowed").expect("secrets come first");
    let Some(wire::watch_response::Kind::Secrets(secrets)) = first.kind else { panic!("{first:?}") };
    assert!(secrets.snapshot && secrets.last && secrets.accounts.is_empty(), "nothing is protected");
    let (size, filled) = fill(edge, dev.line().text("/account_sid"), &hash(&content), 3).expect("allowed");
    assert_eq!(size, 600_000);
    assert!(filled == content);
}

#[test]
fn an_edge_may_not_publish() {
    let dev = Dev::start();
    let edge = edge(&dev);
    let mut publish = wire::publish_client::PublishClient::new(edge.clone());
    assert_denied(block_on(publish.list(wire::ListRequest::default())));
    let mut operator = wire::operator_client::OperatorClient::new(edge);
    assert_denied(block_on(operator.create_join_token(wire::CreateJoinTokenRequest::default())));
}

#[test]
fn an_edge_cannot_fill_what_is_private_or_another_account_s() {
    let dev = Dev::start();
    let publisher = dev.publisher();
    let (private, public) = (bytes(3, 1000), bytes(4, 1000));
    let version =
        block_on(publisher.upload("/private.bin", Visibility::Private, private.clone())).expect("uploads");
    block_on(publisher.commit(vec![version.version_sid])).expect("commits");
    dev.cli().put("/public.bin", &public);
    let (other, _) = publisher.create_account("other");
    let edge = edge(&dev);
    let mine = dev.line().text("/account_sid");
    let refused = |account: &str, content: &Bytes| {
        fill(edge.clone(), account, &hash(content), 1).map(|_| ()).unwrap_err().code()
    };
    assert_eq!(refused(mine, &private), Code::NotFound);
    assert_eq!(refused(&other.sid, &public), Code::NotFound);
    assert_eq!(refused("AC00000000000000000000000000000000", &public), Code::NotFound);
    assert_eq!(refused(mine, &Bytes::from_static(b"nobody has this")), Code::NotFound);
    assert!(fill(edge, mine, &hash(&public), 1).is_ok());
    for protocol in Protocol::ALL {
        assert_eq!(dev.site().get(protocol, "/private.bin").status, 404, "{protocol}");
    }
}

#[test]
fn an_uploaded_version_that_is_in_no_build_cannot_be_filled() {
    let dev = Dev::start();
    let content = bytes(5, 1000);
    block_on(dev.publisher().upload("/later.bin", Visibility::Public, content.clone())).expect("uploads");
    let refused = fill(edge(&dev), dev.line().text("/account_sid"), &hash(&content), 1);
    assert_eq!(refused.unwrap_err().code(), Code::NotFound);
}

#[test]
fn a_join_token_works_once() {
    let dev = Dev::start();
    let token = block_on(dev.publisher().join_token()).expect("the operator may");
    let first = block_on(EdgeCertificate::enrol(url(&dev), &token)).expect("a fresh token");
    assert!(!first.edge_id.is_empty());
    assert_denied(block_on(EdgeCertificate::enrol(url(&dev), &token)));
}

#[test]
fn an_invented_join_token_is_refused() {
    let dev = Dev::start();
    let mut token = block_on(dev.publisher().join_token()).expect("the operator may");
    token.secret = [42; 32];
    assert_denied(block_on(EdgeCertificate::enrol(url(&dev), &token)));
}

#[test]
fn accounts_without_the_operator_s_mark_make_no_join_tokens() {
    let dev = Dev::start();
    let (other, _) = dev.publisher().create_account("other");
    assert_denied(block_on(dev.publisher().with_account(other).join_token()));
}

/// What cannot be asked for: slices past the end, more than there are, numbers that overflow.
#[test]
fn a_fill_past_the_end_is_refused_and_harms_nobody() {
    let dev = Dev::start();
    let content = bytes(6, 600_000);
    dev.cli().put("/a.bin", &content);
    let edge = edge(&dev);
    let ask = |first_slice, slice_count| {
        let request = wire::FillRequest {
            account_sid: dev.line().text("/account_sid").to_owned(),
            hash: hash(&content)
                .parse::<skerry_proto::hash::Hash>()
                .expect("a hash")
                .as_bytes()
                .to_vec()
                .into(),
            first_slice,
            slice_count,
            hops: 0,
            neighbour: false,
        };
        block_on(async {
            let mut stream =
                wire::fill_client::FillClient::new(edge.clone()).fill(request).await?.into_inner();
            while stream.message().await?.is_some() {}
            Ok::<_, tonic::Status>(())
        })
    };
    for (first, count) in [(3, 1), (0, 4), (u64::MAX, 1), (1, u64::MAX), (u64::MAX, u64::MAX)] {
        let refused = ask(first, count).expect_err("there are three slices");
        assert!(
            matches!(refused.code(), Code::InvalidArgument | Code::OutOfRange),
            "{first} {count}: {refused:?}"
        );
    }
    ask(0, 3).expect("the origin goes on");
}
