//! Signals: the first asks for a clean stop, the second ends the process at once.

use crate::failure::Failure;
use crate::output;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that SIGINT or SIGTERM cancels. A second signal ends the process with code 1, whatever is under way.
///
/// # Errors
/// When the system takes no handler.
pub(crate) fn on_signal() -> Result<CancellationToken, Failure> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    // Never joined: it ends with the process, which is its purpose.
    tokio::spawn(async move {
        for first in [true, false] {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if first {
                stopping.cancel();
            }
        }
        output::note("ended at once by a second signal");
        std::process::exit(1);
    });
    Ok(stop)
}
