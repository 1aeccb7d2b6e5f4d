//! What can be wrong with what a client means to publish. Each fault names the thing and says what to do.

use super::site_file::{self, Problem};
use crate::config::Limits;
use skerry_proto::hash::Hash;
use skerry_proto::path::InvalidPath;
use skerry_proto::rules::SITE_FILE;
use skerry_proto::visibility::Visibility;

/// Faults that a message lists at most; the rest is counted.
const LISTED_MAX: usize = 20;

/// Which limits an asset falls under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AssetClass {
    /// Public and protected assets.
    Served,
    /// Private assets.
    Private,
}

impl AssetClass {
    /// The class of a visibility.
    pub(crate) fn of(visibility: Visibility) -> Self {
        if visibility.is_served() { Self::Served } else { Self::Private }
    }

    /// Bytes of one asset at most.
    pub(crate) fn size_max(self, limits: &Limits) -> u64 {
        match self {
            Self::Served => limits.served_size_max,
            Self::Private => limits.private_size_max,
        }
    }

    /// Paths in one build at most.
    pub(crate) fn count_max(self, limits: &Limits) -> u64 {
        match self {
            Self::Served => limits.served_count_max,
            Self::Private => limits.private_count_max,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Served => "public or protected",
            Self::Private => "private",
        }
    }

    const fn key(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Private => "private",
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// A path breaks a rule.
    #[error("{path:?} is no path of an asset: {source}")]
    InvalidPath {
        /// As given.
        path: String,
        /// Which rule.
        source: InvalidPath,
    },
    /// A visibility that does not exist.
    #[error("unknown visibility for {path:?}; it is one of public, protected, private")]
    InvalidVisibility {
        /// Of which asset.
        path: String,
    },
    /// A media type that no header can hold.
    #[error(
        "the content type of {path:?} cannot be sent in a header; it is 1 to 255 visible ASCII characters, such as text/plain"
    )]
    InvalidContentType {
        /// Of which asset.
        path: String,
    },
    /// An asset is too large.
    #[error(
        "{path:?} has {size} bytes, a {} asset has at most {limit}; an operator may allow the service more by `skerry limits`, or all services by limits.{}_size_max in the origin's configuration",
        .class.words(), .class.key()
    )]
    TooLarge {
        /// Which asset.
        path: String,
        /// Its bytes.
        size: u64,
        /// What is allowed.
        limit: u64,
        /// Under which limit it falls.
        class: AssetClass,
    },
    /// A build would have too many paths.
    #[error(
        "{chosen} new {} paths were chosen, {free} of {limit} are free; nothing was published; remove some, or ask an operator to allow the service more by `skerry limits`, or all services by limits.{}_count_max in the origin's configuration",
        .class.words(), .class.key()
    )]
    TooMany {
        /// Paths that the build does not have yet.
        chosen: u64,
        /// How many more it could take.
        free: u64,
        /// What is allowed in all.
        limit: u64,
        /// Under which limit they fall.
        class: AssetClass,
    },
    /// The same path twice.
    #[error("{path:?} was given more than once")]
    DuplicatePath {
        /// Which one.
        path: String,
    },
    /// A site file that is not at the root.
    #[error(
        "{path:?} would have no effect: what a build declares stands in {SITE_FILE}; publish it there, or under another name"
    )]
    MisplacedSiteFile {
        /// Where it was meant to be.
        path: String,
    },
    /// A site file that is too large.
    #[error("{SITE_FILE} has {size} bytes, it may have at most {}", site_file::SIZE_MAX)]
    SiteFileTooLarge {
        /// Its bytes.
        size: u64,
    },
    /// A site file that cannot be used.
    #[error("{SITE_FILE} cannot be used:\n{}", list(.problems))]
    InvalidSiteFile {
        /// All that was found, by line.
        problems: Vec<Problem>,
    },
    /// A site file that shows what is not there.
    #[error(
        "{key} in {SITE_FILE} names {target:?}, which is no public asset of this build; publish it, too, or change the file"
    )]
    MissingTarget {
        /// What names it.
        key: &'static str,
        /// What is named.
        target: String,
    },
    /// Bytes that the account has revoked.
    #[error(
        "{path:?} has bytes that were purged, and would answer 410; show them again first: skerry purge --lift {hash}"
    )]
    Purged {
        /// Where they were meant to be.
        path: String,
        /// Which bytes.
        hash: Hash,
    },
    /// A setting beyond its bound.
    #[error("{key} is at most {seconds_max} seconds, or unbounded")]
    StaleTooLong {
        /// Which setting.
        key: &'static str,
        /// Its bound.
        seconds_max: u64,
    },
}

impl Fault {
    /// A stable code for clients.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::InvalidPath { .. } => "invalid_path",
            Self::InvalidVisibility { .. } => "invalid_visibility",
            Self::InvalidContentType { .. } => "invalid_content_type",
            Self::TooLarge { .. } => "too_large",
            Self::TooMany { .. } => "too_many",
            Self::DuplicatePath { .. } => "duplicate_path",
            Self::MisplacedSiteFile { .. } => "misplaced_site_file",
            // The same to a client as an asset over its limit.
            Self::SiteFileTooLarge { .. } => "too_large",
            Self::InvalidSiteFile { .. } => "invalid_site_file",
            Self::MissingTarget { .. } => "missing_target",
            Self::Purged { .. } => "purged",
            Self::StaleTooLong { .. } => "invalid_setting",
        }
    }
}

/// All faults, or parts of one, in one message, a line each.
pub(super) fn list(faults: &[impl ToString]) -> String {
    let mut lines: Vec<String> = faults.iter().take(LISTED_MAX).map(ToString::to_string).collect();
    if faults.len() > LISTED_MAX {
        lines.push(format!("and {} more", faults.len() - LISTED_MAX));
    }
    lines.join("\n")
}

/// Refuses sizes over the limit, and a site file where it has no effect.
pub(super) fn check_asset(path: &str, visibility: Visibility, size: u64, limits: &Limits) -> Vec<Fault> {
    let mut faults = Vec::new();
    if site_file::is_misplaced(path) {
        faults.push(Fault::MisplacedSiteFile { path: path.to_owned() });
    }
    if site_file::is_site_file(path) {
        faults.extend((size > site_file::SIZE_MAX).then_some(Fault::SiteFileTooLarge { size }));
        return faults;
    }
    let class = AssetClass::of(visibility);
    let limit = class.size_max(limits);
    if size > limit {
        faults.push(Fault::TooLarge { path: path.to_owned(), size, limit, class });
    }
    faults
}

/// Refuses more paths than a build may have: `new` ones beside `kept` ones.
pub(super) fn check_count(class: AssetClass, kept: u64, new: u64, limits: &Limits) -> Option<Fault> {
    let limit = class.count_max(limits);
    let free = limit.saturating_sub(kept);
    // What is over the limit already, because it was lowered, may stay and be replaced.
    (new > free).then_some(Fault::TooMany { chosen: new, free, limit, class })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_over_the_limit_names_the_limit_and_the_key_that_raises_it() {
        let limits = Limits { served_size_max: 10, private_size_max: 5, ..Limits::default() };
        assert_eq!(check_asset("/a", Visibility::Public, 10, &limits), []);
        let faults = check_asset("/a", Visibility::Public, 11, &limits);
        assert_eq!(
            list(&faults),
            "\"/a\" has 11 bytes, a public or protected asset has at most 10; an operator may allow the service more by `skerry limits`, or all services by limits.served_size_max in the origin's configuration"
        );
        assert_eq!(check_asset("/a", Visibility::Private, 6, &limits).len(), 1);
    }

    #[test]
    fn a_count_over_the_limit_says_how_many_were_chosen_and_are_free() {
        let limits = Limits { served_count_max: 500, ..Limits::default() };
        assert_eq!(check_count(AssetClass::Served, 490, 10, &limits), None);
        let fault = check_count(AssetClass::Served, 490, 11, &limits).expect("one too many");
        assert_eq!(fault.code(), "too_many");
        assert!(
            fault.to_string().starts_with("11 new public or protected paths were chosen, 10 of 500 are free")
        );
    }

    #[test]
    fn long_lists_of_faults_are_cut_and_counted() {
        let faults = vec![Fault::DuplicatePath { path: "/a".into() }; 25];
        assert_eq!(list(&faults).lines().count(), 21);
        assert!(list(&faults).ends_with("and 5 more"));
    }
}
