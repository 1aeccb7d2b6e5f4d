//! Variables of environments. They are kept for functions, which run elsewhere, and are never shown to edges.

use super::{PublishError, Publisher, unix_seconds};
use crate::catalogue::{Actor, Variable};
use crate::sid::EnvironmentSid;
use std::time::SystemTime;

/// Characters of a key at most.
const KEY_MAX: usize = 128;

/// Bytes of a value at most.
const VALUE_MAX: usize = 450;

const TAKEN: PublishError = PublishError::Taken("Variable with this Key already exists.");

impl Publisher {
    /// Makes a variable.
    ///
    /// # Errors
    /// [`PublishError::Invalid`], [`PublishError::Taken`], [`PublishError::Catalogue`].
    pub(crate) async fn create_variable(
        &self,
        actor: &Actor,
        environment: &EnvironmentSid,
        key: &str,
        value: &str,
    ) -> Result<Variable, PublishError> {
        check_key(key)?;
        check_value(value)?;
        let now = unix_seconds(SystemTime::now());
        self.shared.catalogue.add_variable(actor, environment, key, value, now).await?.ok_or(TAKEN)
    }

    /// Changes key or value; `None` stays as it is.
    ///
    /// # Errors
    /// As for [`Publisher::create_variable`].
    pub(crate) async fn update_variable(
        &self,
        actor: &Actor,
        variable: &Variable,
        key: Option<&str>,
        value: Option<&str>,
    ) -> Result<Variable, PublishError> {
        key.map_or(Ok(()), check_key)?;
        value.map_or(Ok(()), check_value)?;
        let now = unix_seconds(SystemTime::now());
        let changed = self.shared.catalogue.update_variable(actor, &variable.sid, key, value, now).await?;
        changed.ok_or(TAKEN)
    }

    /// Deletes a variable.
    ///
    /// # Errors
    /// [`PublishError::NotFound`], [`PublishError::Catalogue`].
    pub(crate) async fn delete_variable(
        &self,
        actor: &Actor,
        variable: &Variable,
    ) -> Result<(), PublishError> {
        let now = unix_seconds(SystemTime::now());
        match self.shared.catalogue.delete_variable(actor, &variable.sid, now).await? {
            true => Ok(()),
            false => Err(PublishError::NotFound { noun: "variable", name: variable.sid.to_string() }),
        }
    }
}

fn check_key(key: &str) -> Result<(), PublishError> {
    if (1..=KEY_MAX).contains(&key.chars().count()) && !key.contains(['\0', '=']) {
        return Ok(());
    }
    Err(PublishError::Invalid { parameter: "Key", accepts: "a text of 1 to 128 characters without =" })
}

fn check_value(value: &str) -> Result<(), PublishError> {
    if value.len() <= VALUE_MAX && !value.contains('\0') {
        return Ok(());
    }
    Err(PublishError::Invalid { parameter: "Value", accepts: "a text of at most 450 bytes" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_have_bounds() {
        assert!(check_key(&"k".repeat(128)).is_ok());
        assert!(check_value("").is_ok());
        assert!(check_value(&"v".repeat(450)).is_ok());
        assert!(check_key("").is_err());
        assert!(check_key(&"k".repeat(129)).is_err());
        assert!(check_key("a=b").is_err());
        assert!(check_value(&"\u{e9}".repeat(226)).is_err());
    }
}
