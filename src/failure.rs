//! How a command ends when it does not succeed: a message for people, and an exit code for scripts.

use std::error::Error;
use std::fmt;
use std::io;
use std::process::ExitCode;

/// What scripts may rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The command did not do what it should.
    Failure,
    /// It was published, but an edge may still serve what was before (`--wait`).
    NotLive,
    /// Usage or configuration: the same command cannot succeed.
    Usage,
    /// A command that was run for the user ended with this code.
    Command(u8),
}

impl Exit {
    const fn code(self) -> u8 {
        match self {
            Self::Failure => 1,
            Self::NotLive => 3,
            // EX_USAGE of sysexits.h; systemd is told not to start again after it.
            Self::Usage => 64,
            Self::Command(code) => code,
        }
    }
}

/// Shown below `--help`.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0   done; for a server: stopped as asked
  1   failed, or ended at once by a second signal
  3   published, but an edge may still serve what was before (--wait)
  64  usage or configuration";

/// Why a command failed. The message says what was wrong, where, and what to do.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    message: String,
}

impl Failure {
    /// A failure of the ordinary kind.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { exit: Exit::Failure, message: message.into() }
    }

    /// Usage or configuration.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, message: message.into() }
    }

    /// Published, but something older may be shown somewhere.
    pub(crate) fn not_live(message: impl Into<String>) -> Self {
        Self { exit: Exit::NotLive, message: message.into() }
    }

    /// A command that was run for the user did not succeed: its code is ours.
    pub(crate) fn of_command(code: i32, message: String) -> Self {
        Self { exit: u8::try_from(code).map_or(Exit::Failure, Exit::Command), message }
    }

    /// An error with its causes, and what to do about a disk that is full.
    pub(crate) fn of(error: &(dyn Error + 'static)) -> Self {
        let failure = Self::new(chain(error));
        if is_full(error) {
            failure.hint("free some space on that disk, or use another one")
        } else {
            failure
        }
    }

    /// The same, with a line of what to do.
    pub(crate) fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.message = format!("{}\n{hint}", self.message);
        self
    }

    /// The exit code.
    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(self.exit.code())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::of(error.as_ref())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::of(&error)
    }
}

/// Whether the system said that a disk is full. Errors with words of their own for that have no such cause.
fn is_full(error: &(dyn Error + 'static)) -> bool {
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    matches!(kind, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
        || error.source().is_some_and(is_full)
}

/// An error and its causes in one line; a cause that its parent has said already is not said again.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn a_full_disk_is_told_what_to_do() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let error = Err::<(), _>(full()).context("cannot write /a").expect_err("fails");
        for failure in [Failure::from(error), Failure::from(full())] {
            assert!(failure.to_string().ends_with("free some space on that disk, or use another one"));
        }
    }

    #[test]
    fn causes_are_said_once() {
        let error = anyhow::Error::msg("disk full").context("cannot write: disk full");
        assert_eq!(Failure::from(error).to_string(), "cannot write: disk full");
        let error = Err::<(), _>(std::io::Error::other("no")).context("a").expect_err("fails");
        assert_eq!(Failure::from(error).to_string(), "a: no");
    }
}
