//! A child process whose messages are kept, and that never outlives the rig.

use anyhow::Context;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Time for a process to end once it was asked to.
const STOP_TIME_MAX: Duration = Duration::from_secs(20);

/// The same for one that is dropped, because the rig has failed or needs it no more.
const DROP_TIME_MAX: Duration = Duration::from_secs(3);

/// How often a process is asked whether it has ended.
const POLL: Duration = Duration::from_millis(10);

/// Bytes of a log that are shown when something goes wrong.
const LOG_SHOWN_MAX: usize = 4096;

/// A child process; killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

/// The first line that a process prints, and when.
pub(crate) struct FirstLine(oneshot::Receiver<(Instant, String)>);

impl Process {
    /// Starts `command`; what it says goes to a file in `folder`.
    pub(crate) fn spawn(name: &str, mut command: Command, folder: &Path) -> anyhow::Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let errors = File::create(&log)?;
        command.stdin(Stdio::null()).stdout(errors.try_clone()?).stderr(errors);
        let child = command.spawn().with_context(|| format!("cannot start {:?}", command.get_program()))?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    /// Starts `command`, whose first line on standard output says that it is ready.
    pub(crate) fn spawn_with_line(
        name: &str,
        mut command: Command,
        folder: &Path,
    ) -> anyhow::Result<(Self, FirstLine)> {
        let log = folder.join(format!("{name}.log"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(&log)?);
        let mut child =
            command.spawn().with_context(|| format!("cannot start {:?}", command.get_program()))?;
        let output = child.stdout.take().context("standard output is a pipe")?;
        let (sender, receiver) = oneshot::channel();
        std::thread::Builder::new().name(format!("{name}-output")).spawn(move || {
            let mut lines = BufReader::new(output).lines().map_while(Result::ok);
            if let Some(line) = lines.next() {
                // Nobody waits any more when the rig is ending.
                let _ = sender.send((Instant::now(), line));
            }
            // Read on, else the process would block once the pipe is full.
            lines.for_each(drop);
        })?;
        Ok((Self { name: name.to_owned(), child, log }, FirstLine(receiver)))
    }

    /// What it is called in messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Fails with the end of the log when the process has ended.
    pub(crate) fn check_running(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => anyhow::bail!("{} ended with {status}:\n{}", self.name, self.log_end()),
        }
    }

    /// Asks the process to end as Ctrl-C does, and waits until it has.
    pub(crate) async fn stop(mut self) -> anyhow::Result<ExitStatus> {
        self.stop_in_place().await
    }

    /// The same, where something else will take its place.
    pub(crate) async fn stop_in_place(&mut self) -> anyhow::Result<ExitStatus> {
        // The standard library sends no signal but SIGKILL.
        Command::new("kill").args(["-INT", &self.pid().to_string()]).status().context("cannot run kill")?;
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            anyhow::ensure!(
                began.elapsed() < STOP_TIME_MAX,
                "{} does not stop when asked to:\n{}",
                self.name,
                self.log_end()
            );
            tokio::time::sleep(POLL).await;
        }
    }

    /// The end of what the process said.
    pub(crate) fn log_end(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(LOG_SHOWN_MAX)..]).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_some()) {
            return;
        }
        // nginx's workers end with their master only when it is asked; SIGTERM asks all servers that are started here.
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let began = Instant::now();
        while began.elapsed() < DROP_TIME_MAX && self.child.try_wait().is_ok_and(|status| status.is_none()) {
            // The standard library waits for a child without a limit or not at all.
            std::thread::park_timeout(POLL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl FirstLine {
    /// Waits for the line, at most `time_max`.
    pub(crate) async fn wait(
        self,
        process: &mut Process,
        time_max: Duration,
    ) -> anyhow::Result<(Instant, String)> {
        match tokio::time::timeout(time_max, self.0).await {
            Ok(Ok(line)) => Ok(line),
            Ok(Err(_)) => {
                // The pipe closes a moment before the process has ended.
                tokio::time::sleep(POLL).await;
                process.check_running()?;
                anyhow::bail!("{} closed its standard output:\n{}", process.name(), process.log_end())
            }
            Err(_) => {
                anyhow::bail!("{} is not ready within {time_max:?}:\n{}", process.name(), process.log_end())
            }
        }
    }
}
