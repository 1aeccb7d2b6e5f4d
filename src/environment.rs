//! The environment variables of this process: read once, here, and handed on as a value.

use std::collections::BTreeMap;

/// Variables that begin with `SKERRY_`, and what decides on colours.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    variables: BTreeMap<String, String>,
    no_color: bool,
}

impl Environment {
    /// Takes what is set now. A value that is not UTF-8 is taken with replacement characters, and refused where it is read.
    pub(crate) fn read() -> Self {
        let mut environment = Self::default();
        for (key, value) in std::env::vars_os() {
            let Some(key) = key.to_str() else { continue };
            if key == "NO_COLOR" {
                environment.no_color = !value.is_empty();
            } else if key.starts_with("SKERRY_") {
                environment.variables.insert(key.to_owned(), value.to_string_lossy().into_owned());
            }
        }
        environment
    }

    /// A variable that is set and not empty.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Variables whose names begin with `prefix`.
    pub(crate) fn beginning_with<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.variables
            .iter()
            .filter(move |(name, _)| name.starts_with(prefix))
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether colours are unwanted (no-color.org).
    pub(crate) const fn no_color(&self) -> bool {
        self.no_color
    }

    #[cfg(test)]
    pub(crate) fn of(variables: &[(&str, &str)]) -> Self {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self { variables: variables.collect(), no_color: false }
    }
}

/// How this program was called, for commands that people copy.
pub(crate) fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "skerry".into())
}
