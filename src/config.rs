//! Configuration: tables of settings, and the layers that give them values.
//!
//! Default < file (TOML) < environment < flag (`--set KEY=VALUE`). A value is text in every layer; a list is written with commas, in
//! TOML also as an array. All faults are found before any is reported, each with the key, its value, and what is accepted. This file
//! knows no key; the tables of [`origin`], [`edge`] and [`dev`] do.

mod dev;
mod edge;
mod layers;
mod origin;
mod print;
mod value;

pub(crate) use dev::{DevSettings, load as load_dev};
pub(crate) use edge::{EdgeSettings, HTTPS_NAMES, load as load_edge};
pub(crate) use origin::{OriginSettings, load as load_origin};
pub(crate) use value::size;

use crate::environment::Environment;
use crate::failure::Failure;
use layers::{Fault, Raw, Source};
use std::path::PathBuf;

/// Where the values of settings come from, besides their defaults and the environment.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct ConfigOptions {
    /// Configuration file, TOML
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Set one key, above file and environment; may be given more than once
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Print every key with what it means and its effective value, as a configuration file, and exit
    #[arg(long)]
    pub(crate) print_config: bool,
}

/// How a value is written in TOML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Text,
    Number,
    List,
    /// Text that is never shown.
    Secret,
}

/// One key: what it means, and where its value goes.
struct Setting<C: 'static> {
    name: &'static str,
    default: &'static str,
    shape: Shape,
    /// What a value looks like, for the message about one that does not.
    accepts: &'static str,
    /// With the unit.
    doc: &'static str,
    /// `None`: not accepted.
    set: fn(&mut C, &str) -> Option<()>,
}

/// The settings of one role, under a prefix where there is more than one role.
struct Table<C: 'static> {
    /// In groups, in the order in which they are printed.
    settings: &'static [&'static [Setting<C>]],
    /// Of keys: empty, or `origin.` or `edge.`.
    prefix: &'static str,
    /// Of environment variables.
    variables: &'static str,
    /// Keys that cannot be set here, and what to use in their place.
    fixed: &'static [(&'static str, &'static str)],
    /// Defaults that differ here.
    defaults: &'static [(&'static str, &'static str)],
}

/// A key with its effective value.
#[derive(Debug, Clone)]
struct Effective {
    key: String,
    variable: String,
    value: String,
    source: Source,
    shape: Shape,
    accepts: &'static str,
    doc: &'static str,
}

impl<C> Table<C> {
    /// Whether a layer's entry is for this table.
    fn owns(&self, raw: &Raw) -> bool {
        match &raw.source {
            Source::Variable(name) => name.starts_with(self.variables),
            _ => raw.key.starts_with(self.prefix),
        }
    }

    fn key(&self, setting: &Setting<C>) -> String {
        format!("{}{}", self.prefix, setting.name)
    }

    fn variable(&self, setting: &Setting<C>) -> String {
        format!("{}{}", self.variables, setting.name.replace('.', "_").to_uppercase())
    }

    fn names(&self, setting: &Setting<C>, raw: &Raw) -> bool {
        match &raw.source {
            Source::Variable(name) => *name == self.variable(setting),
            _ => raw.key.strip_prefix(self.prefix) == Some(setting.name),
        }
    }

    fn is_fixed(&self, setting: &Setting<C>) -> bool {
        self.fixed.iter().any(|(name, _)| *name == setting.name)
    }

    fn all(&self) -> impl Iterator<Item = &'static Setting<C>> {
        self.settings.iter().copied().flatten()
    }

    fn keys(&self) -> Vec<String> {
        let settings = self.all().filter(|setting| !self.is_fixed(setting));
        settings.map(|setting| self.key(setting)).collect()
    }

    /// Applies the entries that this table owns, the last of each key, and tells what is wrong with them.
    fn resolve(&self, raws: &[Raw], into: &mut C, faults: &mut Vec<Fault>) -> Vec<Effective> {
        let known = self.keys();
        for raw in raws.iter().filter(|raw| self.owns(raw)) {
            match self.all().find(|setting| self.names(setting, raw)) {
                None => faults.push(Fault::unknown(raw, &known, self.variables, self.prefix)),
                Some(setting) => {
                    let fixed = self.fixed.iter().find(|(name, _)| *name == setting.name);
                    faults.extend(fixed.map(|(_, instead)| Fault::fixed(raw, instead)));
                }
            }
        }
        self.all()
            .filter(|setting| !self.is_fixed(setting))
            .map(|setting| self.apply(setting, raws, into, faults))
            .collect()
    }

    fn apply(&self, setting: &Setting<C>, raws: &[Raw], into: &mut C, faults: &mut Vec<Fault>) -> Effective {
        let given = raws.iter().rev().find(|raw| self.owns(raw) && self.names(setting, raw));
        let default = self.defaults.iter().find(|(name, _)| *name == setting.name);
        let default = default.map_or(setting.default, |(_, value)| value);
        let (value, source) = match given {
            Some(raw) => (raw.value.clone(), raw.source.clone()),
            None => (default.to_owned(), Source::Default),
        };
        if (setting.set)(into, value.trim()).is_none() {
            let shown = if setting.shape == Shape::Secret { "(not shown)" } else { &value };
            faults.push(Fault::refused(&self.key(setting), shown, &source, setting.accepts));
        }
        Effective {
            key: self.key(setting),
            variable: self.variable(setting),
            value,
            source,
            shape: setting.shape,
            accepts: setting.accepts,
            doc: setting.doc,
        }
    }
}

/// Loads the table of a role that has a process of its own. `None`: the configuration was asked for, and is printed.
fn load_role<C>(
    table: &Table<C>,
    mut settings: C,
    options: &ConfigOptions,
    environment: &Environment,
    check: impl Fn(&C, &mut Vec<Fault>),
) -> Result<Option<C>, Failure> {
    let mut faults = Vec::new();
    let raws = layers::gather(options, environment, &[table.variables], &mut faults)?;
    let effective = table.resolve(&raws, &mut settings, &mut faults);
    if faults.is_empty() && !options.print_config {
        check(&settings, &mut faults);
    }
    layers::refuse(faults)?;
    if options.print_config {
        crate::output::line(print::as_toml(&effective))?;
        return Ok(None);
    }
    Ok(Some(settings))
}

#[cfg(test)]
mod tests;
