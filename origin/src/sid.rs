//! String identifiers: two letters that say what is named, then 32 hexadecimal digits of randomness.
//!
//! Each kind is a type of its own, so that one cannot be passed for another.

use crate::secret::{NoRandomness, hex, random};
use std::fmt;

macro_rules! sids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub(crate) struct $name(String);

        impl $name {
            /// A new one, unlike all others.
            pub(crate) fn random() -> Result<Self, NoRandomness> {
                Ok(Self(format!("{}{}", $prefix, hex(&random::<16>()?))))
            }

            /// Its text.
            pub(crate) fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }

        impl From<$name> for String {
            fn from(sid: $name) -> Self {
                sid.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

sids! {
    /// An account.
    AccountSid = "AC";
    /// A service.
    ServiceSid = "ZS";
    /// An environment.
    EnvironmentSid = "ZE";
    /// An asset, or a function.
    AssetSid = "ZH";
    /// A version of either.
    VersionSid = "ZN";
    /// A build.
    BuildSid = "ZB";
    /// A deployment.
    DeploymentSid = "ZD";
    /// A domain that an account brought along.
    DomainSid = "DN";
    /// A variable of an environment.
    VariableSid = "ZV";
    /// A key of the API.
    ApiKeySid = "SK";
    /// A shared key for signatures.
    SignatureKeyId = "YS";
    /// An edge.
    EdgeId = "ED";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sid_is_two_letters_and_32_lower_case_hexadecimal_digits() {
        let sid = BuildSid::random().expect("random");
        assert_eq!(sid.as_str().len(), 34);
        assert!(sid.as_str().starts_with("ZB"));
        assert!(sid.as_str()[2..].bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
        assert_ne!(sid, BuildSid::random().expect("random"));
    }
}
