//! Who may have an asset.

use crate::wire;
use std::fmt;
use std::str::FromStr;

/// Who may have an asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Visibility {
    /// Anyone with the URL.
    Public,
    /// Signed requests only.
    Protected,
    /// Never served; bundled for functions.
    Private,
}

/// A text or number that names no visibility.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown visibility; it is one of public, protected, private")]
pub struct InvalidVisibility;

impl Visibility {
    /// The word that API, CLI and catalogue use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Protected => "protected",
            Self::Private => "private",
        }
    }

    /// Whether edges may hold it at all. What is not served is in no manifest.
    pub const fn is_served(self) -> bool {
        !matches!(self, Self::Private)
    }
}

impl fmt::Display for Visibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Visibility {
    type Err = InvalidVisibility;

    fn from_str(text: &str) -> Result<Self, InvalidVisibility> {
        match text {
            "public" => Ok(Self::Public),
            "protected" => Ok(Self::Protected),
            "private" => Ok(Self::Private),
            _ => Err(InvalidVisibility),
        }
    }
}

impl From<Visibility> for wire::Visibility {
    fn from(visibility: Visibility) -> Self {
        match visibility {
            Visibility::Public => Self::Public,
            Visibility::Protected => Self::Protected,
            Visibility::Private => Self::Private,
        }
    }
}

impl TryFrom<i32> for Visibility {
    type Error = InvalidVisibility;

    /// From the number of a protobuf field.
    fn try_from(number: i32) -> Result<Self, InvalidVisibility> {
        match wire::Visibility::try_from(number) {
            Ok(wire::Visibility::Public) => Ok(Self::Public),
            Ok(wire::Visibility::Protected) => Ok(Self::Protected),
            Ok(wire::Visibility::Private) => Ok(Self::Private),
            Ok(wire::Visibility::Unspecified) | Err(_) => Err(InvalidVisibility),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_visibility_survives_text_and_wire() {
        for visibility in [Visibility::Public, Visibility::Protected, Visibility::Private] {
            assert_eq!(visibility.as_str().parse(), Ok(visibility));
            let number = wire::Visibility::from(visibility) as i32;
            assert_eq!(Visibility::try_from(number), Ok(visibility));
        }
    }

    #[test]
    fn unknown_ones_are_refused() {
        for wrong in ["", "Public", "secret"] {
            assert_eq!(wrong.parse::<Visibility>(), Err(InvalidVisibility));
        }
        assert_eq!(Visibility::try_from(0), Err(InvalidVisibility));
        assert_eq!(Visibility::try_from(99), Err(InvalidVisibility));
    }
}
