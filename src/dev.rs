//! An origin and edges in one process. They are the same roles as in processes of their own, and talk gRPC over TLS to each other.
//!
//! The life: take the folder, bind everything, make a first start durable, serve, publish the demo once, announce, wait, stop.
//! Nobody has credentials and nothing is accepted before the first start is durable, so one that fails before is undone as a whole.
//!
//! This runs on the main thread, which is no worker of the runtime; its few steps that block hold up nobody.

mod announce;
mod bind;
mod demo;
mod folder;
mod hint;
mod serve;

use crate::commands::dev::Options;
use crate::config::DevSettings;
use crate::failure::Failure;
use crate::shutdown;
use folder::DevFolder;
use hint::Hints;

/// Runs until a signal, or until a role fails.
///
/// # Errors
/// What cannot be used, and a command that works.
pub(crate) async fn run(options: &Options, settings: DevSettings) -> Result<(), Failure> {
    let stop = shutdown::on_signal()?;
    let hints = Hints::new(options);
    let mut folder = DevFolder::take(&options.data, &hints)?;
    let bound = bind::bind(options, settings, &folder, &hints).await?;
    folder.finish_first_start()?;
    let ended = serve::serve(bound, &folder, options, &stop).await;
    folder.stopped();
    ended
}
