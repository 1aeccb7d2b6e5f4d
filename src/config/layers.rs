//! The layers of a configuration, flattened to entries of key and text, and what can be wrong with an entry.

use super::ConfigOptions;
use crate::environment::Environment;
use crate::failure::Failure;
use std::fmt;
use std::path::{Path, PathBuf};

/// Bytes of a configuration file at most; ours have a few thousand.
const FILE_SIZE_MAX: u64 = 1 << 20;

/// Where a value was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    Default,
    File(PathBuf),
    Variable(String),
    Flag,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Flag => f.write_str("--set"),
        }
    }
}

/// One entry of a layer. Later entries are above earlier ones.
#[derive(Debug, Clone)]
pub(super) struct Raw {
    /// Empty for an environment variable, whose name cannot be turned back into a key.
    pub(super) key: String,
    pub(super) value: String,
    pub(super) source: Source,
}

/// One thing that is wrong with a configuration.
#[derive(Debug)]
pub(super) struct Fault(String);

impl Fault {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// A value that its key does not take.
    pub(super) fn refused(key: &str, value: &str, source: &Source, accepts: &str) -> Self {
        Self(format!("{key} = {value:?} ({source}): not accepted; it takes {accepts}"))
    }

    /// A key that something else decides.
    pub(super) fn fixed(raw: &Raw, instead: &str) -> Self {
        let Raw { key, source, .. } = raw;
        match source {
            Source::Variable(name) => Self(format!("environment variable {name}: {instead}")),
            _ => Self(format!("{key} ({source}): {instead}")),
        }
    }

    /// A key that does not exist, with the nearest that does.
    pub(super) fn unknown(raw: &Raw, known: &[String], variables: &str, prefix: &str) -> Self {
        if let Source::Variable(name) = &raw.source {
            let known = known.iter().map(|key| {
                let key = key.strip_prefix(prefix).unwrap_or(key);
                format!("{variables}{}", key.replace('.', "_").to_uppercase())
            });
            return Self(format!("unknown environment variable {name}{}", suggestion(name, known)));
        }
        let suggestion = suggestion(&raw.key, known.iter().cloned());
        Self(format!("unknown key {} = {:?} ({}){suggestion}", raw.key, raw.value, raw.source))
    }
}

/// Reports all faults at once.
pub(super) fn refuse(faults: Vec<Fault>) -> Result<(), Failure> {
    if faults.is_empty() {
        return Ok(());
    }
    let mut text = String::from("the configuration cannot be used:");
    for Fault(fault) in faults {
        text.push_str("\n  ");
        text.push_str(&fault);
    }
    Err(Failure::usage(text).hint("--print-config shows every key"))
}

/// All entries of file, environment and flags, lowest layer first.
pub(super) fn gather(
    options: &ConfigOptions,
    environment: &Environment,
    variables: &[&str],
    faults: &mut Vec<Fault>,
) -> Result<Vec<Raw>, Failure> {
    let mut raws = Vec::new();
    if let Some(path) = &options.config {
        let text = read(path)?;
        from_toml(path, &text, &mut raws, faults)?;
    }
    for prefix in variables {
        for (name, value) in environment.beginning_with(prefix) {
            let source = Source::Variable(name.to_owned());
            raws.push(Raw { key: String::new(), value: value.to_owned(), source });
        }
    }
    for given in &options.set {
        match given.split_once('=') {
            Some((key, value)) => {
                let (key, value) = (key.trim().to_owned(), value.to_owned());
                raws.push(Raw { key, value, source: Source::Flag });
            }
            None => faults.push(Fault(format!("--set {given}: it is written KEY=VALUE"))),
        }
    }
    Ok(raws)
}

fn read(path: &Path) -> Result<String, Failure> {
    let refused = |error: &dyn fmt::Display| {
        Failure::usage(format!("cannot read the configuration file {}: {error}", path.display()))
    };
    let size = std::fs::metadata(path).map_err(|error| refused(&error))?.len();
    if size > FILE_SIZE_MAX {
        return Err(refused(&format!("it has {size} bytes, at most {FILE_SIZE_MAX} are read")));
    }
    std::fs::read_to_string(path).map_err(|error| refused(&error))
}

fn from_toml(path: &Path, text: &str, raws: &mut Vec<Raw>, faults: &mut Vec<Fault>) -> Result<(), Failure> {
    let table: toml::Table =
        text.parse().map_err(|error| Failure::usage(format!("{} is not TOML: {error}", path.display())))?;
    flatten(path, "", table, raws, faults);
    Ok(())
}

fn flatten(path: &Path, prefix: &str, table: toml::Table, raws: &mut Vec<Raw>, faults: &mut Vec<Fault>) {
    for (name, value) in table {
        let key = format!("{prefix}{name}");
        match value {
            toml::Value::Table(table) => flatten(path, &format!("{key}."), table, raws, faults),
            value => match as_text(value) {
                Some(value) => raws.push(Raw { key, value, source: Source::File(path.to_owned()) }),
                None => faults.push(Fault(format!(
                    "{key} ({}): a value is a text, a whole number, or a list of these",
                    path.display()
                ))),
            },
        }
    }
}

fn as_text(value: toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(value) => Some(value.to_string()),
        toml::Value::Array(values) => {
            let texts: Option<Vec<String>> = values.into_iter().map(as_text).collect();
            texts.map(|texts| texts.join(","))
        }
        toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Table(_) => None,
    }
}

fn suggestion(given: &str, known: impl Iterator<Item = String>) -> String {
    let near = known.map(|key| (distance(given, &key), key)).min();
    match near {
        // Further away it is no typing mistake.
        Some((distance, key)) if distance <= 2 + given.len() / 4 => format!("; did you mean {key}?"),
        _ => String::new(),
    }
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, char_a) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, &char_b) in row.iter_mut().skip(1).zip(&b) {
            let cost = diagonal + usize::from(char_a != char_b);
            diagonal = *cell;
            left = cost.min(diagonal + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_levenshtein() {
        for (a, b, expected) in
            [("", "", 0), ("a", "", 1), ("", "abc", 3), ("kitten", "sitting", 3), ("abc", "abc", 0)]
        {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn a_far_key_is_not_suggested() {
        let known = || ["grpc.addresses".to_owned(), "data".to_owned()].into_iter();
        assert_eq!(suggestion("grpc.adresses", known()), "; did you mean grpc.addresses?");
        assert_eq!(suggestion("something.else", known()), "");
    }
}
