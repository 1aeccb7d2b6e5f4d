//! Standard output and standard error, without the panic of `println!` when nobody reads any more.

use crate::failure::Failure;
use std::io::{self, Write};

/// Writes a line to standard output.
///
/// # Errors
/// When it cannot be written, such as a closed pipe.
pub(crate) fn line(text: impl std::fmt::Display) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .map_err(|error| Failure::new(format!("standard output: {error}")))
}

/// Writes a line of JSON to standard output.
///
/// # Errors
/// As [`line`].
pub(crate) fn json(value: &serde_json::Value) -> Result<(), Failure> {
    line(value)
}

/// Writes a line to standard error. Nothing is left to say when that fails.
pub(crate) fn note(text: impl std::fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
