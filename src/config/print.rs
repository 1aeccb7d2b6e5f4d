//! `--print-config`: every key with its meaning and effective value, as a configuration file that gives the same settings.

use super::layers::Source;
use super::{Effective, Shape, value};
use std::fmt::Write;

/// The settings as TOML with comments.
pub(super) fn as_toml(settings: &[Effective]) -> String {
    let mut text = String::from("# Every key. A key is written once, as here or in a table.\n");
    for setting in settings {
        let Effective { key, variable, doc, accepts, .. } = setting;
        // Writing to a String cannot fail.
        let _ = write!(text, "\n# {doc}\n# Takes {accepts}. Environment: {variable}.");
        if setting.source != Source::Default {
            let _ = write!(text, " From {}.", setting.source);
        }
        let _ = match (setting.shape, setting.value.is_empty()) {
            (Shape::Secret, false) => write!(text, "\n# {key} = a secret, not shown\n"),
            _ => write!(text, "\n{key} = {}\n", literal(setting)),
        };
    }
    text.truncate(text.trim_end().len());
    text
}

fn literal(setting: &Effective) -> String {
    match setting.shape {
        Shape::Number => setting.value.clone(),
        Shape::List => {
            let entries: Vec<String> =
                value::list(&setting.value).iter().map(|entry| quoted(entry)).collect();
            format!("[{}]", entries.join(", "))
        }
        Shape::Text | Shape::Secret => quoted(&setting.value),
    }
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for char in text.chars() {
        match char {
            '"' | '\\' => quoted.extend(['\\', char]),
            char if char.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(char));
            }
            char => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}
