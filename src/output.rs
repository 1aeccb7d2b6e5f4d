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

/// Text from somebody else as people may see it: what would steer their terminal is written out.
pub(crate) fn plain(text: &str) -> String {
    let steers = |char: char| {
        // Line ends included; and what turns the direction of the text around it (Unicode UAX #9 §2).
        char.is_control() || matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut plain = String::with_capacity(text.len());
    for char in text.chars() {
        if steers(char) { plain.extend(char.escape_default()) } else { plain.push(char) }
    }
    plain
}

/// Writes a line to standard error. Nothing is left to say when that fails.
pub(crate) fn note(text: impl std::fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn nothing_from_outside_steers_a_terminal() {
        assert_eq!(plain("/grün/\u{1f3b5} \"a\\b\".mp3"), "/grün/\u{1f3b5} \"a\\b\".mp3");
        assert_eq!(plain("/a\u{1b}[2J\n\r\t\u{9b}\u{7f}"), "/a\\u{1b}[2J\\n\\r\\t\\u{9b}\\u{7f}");
        assert_eq!(plain("/\u{202e}3pm.exe"), "/\\u{202e}3pm.exe");
    }
}
