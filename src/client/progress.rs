//! A bar on a terminal, nothing in a pipe.

use crate::environment::Environment;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;

/// How far the bytes of a command are.
#[derive(Debug, Clone)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// A bar on standard error, if that is a terminal.
    pub(crate) fn new(bytes: u64, environment: &Environment) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::hidden();
        }
        let template = if environment.no_color() {
            "{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left"
        } else {
            "{bar:30.cyan} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left"
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr());
        Self(bar.with_style(style))
    }

    /// No bar.
    pub(crate) fn hidden() -> Self {
        Self(ProgressBar::hidden())
    }

    /// Bytes more.
    pub(crate) fn add(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
    }
}
