//! The words that the tests are written in.
//!
//! A [`Dev`], an [`Origin`] or an [`Edge`] is a process; a [`Site`] is what a browser sees of an edge; a [`Cli`] is a shell that knows
//! where the origin is. Everything waits for events with a deadline, nothing sleeps, and whatever was started ends with its value.

mod api;
mod cli;
mod companion;
mod content;
mod dev;
mod fake_dns;
mod fake_origin;
mod figures;
mod grpc;
mod origin;
mod peer;
mod process;
mod raw;
mod raw_h3;
mod showing;
mod site;
mod site_h3;
mod site_tcp;
mod wire;

pub(crate) use api::{Answer, Api, Part};
pub(crate) use cli::{Cli, Outcome};
pub(crate) use companion::Companion;
pub(crate) use content::{Random, bytes, files_below, hash, text};
pub(crate) use dev::{Dev, FREE_PORTS};
pub(crate) use fake_dns::{FakeDns, Mood};
pub(crate) use fake_origin::{FakeOrigin, Lie};
pub(crate) use grpc::{Account, Asked, EdgeCertificate, Publisher, channel, fill, fill_as, watch};
pub(crate) use origin::{Edge, Origin};
pub(crate) use peer::{LyingEdge, peer_channel};
pub(crate) use process::{Process, skerry};
pub(crate) use raw::{PREFACE, Raw, WHOLE, frame, get, kind};
pub(crate) use raw_h3::{H3_SETTINGS, RawQuic, h3_get};
pub(crate) use showing::{Showing, declared, sha256};
pub(crate) use site::{Protocol, Response, Site};
pub(crate) use wire::{Wire, WireAnswer};

use std::future::Future;
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Time for anything that takes a moment. Far above what is normal, because machines that test are busy.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// How often a condition is looked at that no event announces.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// One runtime for all clients; the tests themselves are plain functions.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    // Two providers may be linked one day; the choice is explicit here as it is in the program.
    rustls::crypto::aws_lc_rs::default_provider().install_default().expect("the first to install one");
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
});

/// Runs client code to its end.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    RUNTIME.block_on(work)
}

/// Runs client code beside the test.
pub(crate) fn spawn<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    RUNTIME.spawn(work)
}

/// Whether the long repetitions are asked for.
pub(crate) fn full() -> bool {
    std::env::var_os("SKERRY_TEST_FULL").is_some_and(|value| value == "1")
}

/// Waits until `look` gives a value; fails with `what` past the deadline.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = look() {
            return value;
        }
        assert!(started.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
        let_pass(LOOK_EVERY);
    }
}

/// Lets a random moment pass: for tests whose subject is that a moment is random.
pub(crate) fn let_pass(moment: Duration) {
    block_on(async { tokio::time::sleep(moment).await });
}
