//! `_skerry.toml` at the root of a service: what a build declares beside its assets. Pure.
//!
//! The file is an asset version like any other, but private whatever its publisher says, so it is in no manifest and no history. It is
//! checked when it is uploaded, and applied when a build is made: header rules are resolved to each entry here, so that edges match
//! no patterns.

mod parse;

pub(crate) use parse::Problem;

use super::Fault;
use crate::catalogue::AssetVersion;
use percent_encoding::percent_decode_str;
use skerry_proto::manifest::Entry;
use skerry_proto::rules::{HeaderField, RedirectStatus, SITE_FILE, SPLAT, SiteRules};
use skerry_proto::visibility::Visibility;
use std::collections::HashSet;

/// Bytes of the file at most.
pub(super) const SIZE_MAX: u64 = 64 << 10;

/// What the file declares.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct SiteFile {
    /// For the whole site.
    pub(super) rules: SiteRules,
    headers: Vec<HeaderRule>,
}

/// Header fields of all paths that match.
#[derive(Debug, Clone, PartialEq, Eq)]
struct HeaderRule {
    pattern: Pattern,
    cache_control: Option<String>,
    fields: Vec<HeaderField>,
}

/// A path in which `*` stands for anything, also for slashes and for nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern(String);

/// Whether an asset at this path is the file.
pub(super) fn is_site_file(path: &str) -> bool {
    path == SITE_FILE
}

/// Whether a path looks like the file, but is not at the root, where alone it counts.
pub(super) fn is_misplaced(path: &str) -> bool {
    path.ends_with(SITE_FILE) && path != SITE_FILE
}

/// The visibility that a version at `path` gets: the file is nobody's to fetch.
pub(super) fn visibility(path: &str, asked: Visibility) -> Visibility {
    if is_site_file(path) { Visibility::Private } else { asked }
}

/// The version of the file in a build.
pub(super) fn find(build: &[AssetVersion]) -> Option<&AssetVersion> {
    build.iter().find(|version| is_site_file(version.path.as_str()))
}

/// What a file makes of the entries of a build: their header fields, and the rules of the whole site. Pure, for whoever has no more
/// than its bytes, such as fuzzers.
///
/// # Errors
/// Everything that is wrong with the file: at least one line for people.
pub fn apply_site_file(file: &[u8], entries: &mut [Entry]) -> Result<SiteRules, Vec<String>> {
    let file =
        parse::parse(file).map_err(|problems| problems.iter().map(Problem::to_string).collect::<Vec<_>>())?;
    entries.iter_mut().for_each(|entry| file.declare(entry));
    Ok(file.rules)
}

impl SiteFile {
    /// Reads the file.
    ///
    /// # Errors
    /// [`Fault::InvalidSiteFile`] with everything that is wrong, each with its line and key.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        parse::parse(bytes).map_err(|problems| Fault::InvalidSiteFile { problems })
    }

    /// Gives an entry the header fields that are declared for its path. Later rules win for the same name.
    pub(super) fn declare(&self, entry: &mut Entry) {
        for rule in self.headers.iter().filter(|rule| rule.pattern.matches(entry.path.as_str())) {
            // What shared caches may keep of a protected asset is not the publisher's to say.
            if let (Some(value), Visibility::Public) = (&rule.cache_control, entry.visibility) {
                entry.cache_control = Some(value.clone());
            }
            for field in &rule.fields {
                entry.fields.retain(|earlier| earlier.name() != field.name());
                entry.fields.push(field.clone());
            }
        }
    }

    /// Targets that are to be shown, but are no public asset of the build.
    pub(super) fn missing_targets(&self, entries: &[Entry]) -> Vec<Fault> {
        let public: HashSet<&str> = entries
            .iter()
            .filter(|entry| entry.visibility == Visibility::Public)
            .map(|entry| entry.path.as_str())
            .collect();
        let not_found = self.rules.not_found.iter().map(|path| ("not_found", path.as_str()));
        let rewrites =
            self.rules.redirects.iter().filter(|redirect| {
                redirect.status == RedirectStatus::Rewrite && !redirect.to.contains(SPLAT)
            });
        let rewrites = rewrites.map(|redirect| ("redirects.to", redirect.to.as_str()));
        not_found
            .chain(rewrites)
            .filter(|(_, target)| !public.contains(target))
            // As edges do with paths of requests: first as it is, then percent-decoded once.
            .filter(|(_, target)| {
                let decoded = percent_decode_str(target).decode_utf8();
                !decoded.is_ok_and(|path| public.contains(path.as_ref()))
            })
            .map(|(key, target)| Fault::MissingTarget { key, target: target.to_owned() })
            .collect()
    }
}

/// Whether some path may show an older asset after a deployment than before it, because it shows one that stands elsewhere: the rules
/// that say which have changed, or a path was removed that falls under them now.
pub(super) fn may_show_older(before: &SiteRules, after: &SiteRules, removes_paths: bool) -> bool {
    let elsewhere = |rules: &SiteRules| {
        let mut rewrites = rules.redirects.clone();
        rewrites.retain(|redirect| redirect.status == RedirectStatus::Rewrite);
        (rules.index.clone(), rewrites)
    };
    let (before, after) = (elsewhere(before), elsewhere(after));
    before != after || (removes_paths && after != Default::default())
}

impl Pattern {
    fn matches(&self, path: &str) -> bool {
        let mut parts = self.0.split('*');
        let Some(mut rest) = path.strip_prefix(parts.next().unwrap_or_default()) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        for part in parts {
            // The first place where a part fits leaves the most for those after it.
            let Some((_, after)) = rest.split_once(part) else { return false };
            rest = after;
        }
        rest.ends_with(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skerry_proto::rules::Redirect;

    fn entry(path: &str, visibility: Visibility) -> Entry {
        Entry {
            path: path.parse().expect("valid"),
            visibility,
            content_type: "text/plain".into(),
            modified: 0,
            representations: Vec::new(),
            cache_control: None,
            fields: Vec::new(),
        }
    }

    fn file(text: &str) -> SiteFile {
        SiteFile::parse(text.as_bytes()).unwrap_or_else(|fault| panic!("{fault}"))
    }

    #[test]
    fn a_star_matches_anything_also_slashes_and_nothing() {
        let table = [
            ("/a", "/a", true),
            ("/a", "/a/b", false),
            ("/a", "/", false),
            ("/a/*", "/a/b", true),
            ("/a/*", "/a/b/c.css", true),
            ("/a/*", "/a", false),
            ("/*", "/anything/at/all", true),
            ("/*.css", "/a/b.css", true),
            ("/*.css", "/a/b.css.map", false),
            ("/*.css", "/.css", true),
            ("/a/*/c*", "/a/b/c", true),
            ("/a/*/c*", "/a/b/b/cd", true),
            ("/a/*/c*", "/a/c", false),
            ("/a*a", "/a", false),
            ("/a*a", "/aa", true),
            ("/**", "/a", true),
        ];
        for (pattern, path, expected) in table {
            assert_eq!(Pattern(pattern.into()).matches(path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn later_rules_win_for_the_same_name_and_the_others_add_up() {
        let file = file(
            "[[headers]]\npath = \"/*\"\ncache-control = \"max-age=1\"\nx-a = \"1\"\nx-b = \"1\"\n\
             [[headers]]\npath = \"/assets/*\"\nCache-Control = \"max-age=2\"\nX-A = \"2\"\n",
        );
        let declared = |path| {
            let mut entry = entry(path, Visibility::Public);
            file.declare(&mut entry);
            let mut fields: Vec<String> =
                entry.fields.iter().map(|field| format!("{}={}", field.name(), field.value())).collect();
            fields.sort();
            (entry.cache_control.unwrap_or_default(), fields.join(" "))
        };
        assert_eq!(declared("/a"), ("max-age=1".into(), "x-a=1 x-b=1".into()));
        assert_eq!(declared("/assets/a"), ("max-age=2".into(), "x-a=2 x-b=1".into()));
    }

    #[test]
    fn nobody_declares_what_caches_keep_of_a_protected_asset() {
        let file = file("[[headers]]\npath = \"/*\"\ncache-control = \"public\"\nx-a = \"1\"\n");
        let mut entry = entry("/a", Visibility::Protected);
        file.declare(&mut entry);
        assert_eq!((entry.cache_control, entry.fields.len()), (None, 1));
    }

    #[test]
    fn targets_that_are_shown_are_public_assets_of_the_build() {
        let file = file(
            "not_found = \"/404.html\"\n\
             [[redirects]]\nfrom = \"/app/*\"\nto = \"/app.html\"\nstatus = 200\n\
             [[redirects]]\nfrom = \"/u\"\nto = \"/%C3%BC.html\"\nstatus = 200\n\
             [[redirects]]\nfrom = \"/docs/*\"\nto = \"/v1/:splat\"\nstatus = 200\n\
             [[redirects]]\nfrom = \"/old\"\nto = \"/gone\"\n",
        );
        let public = |path| entry(path, Visibility::Public);
        let all = [public("/404.html"), public("/app.html"), public("/\u{fc}.html")];
        assert_eq!(file.missing_targets(&all), []);
        let missing = |entries: &[Entry]| -> Vec<String> {
            let faults = file.missing_targets(entries);
            faults
                .into_iter()
                .map(|fault| match fault {
                    Fault::MissingTarget { target, .. } => target,
                    other => panic!("{other}"),
                })
                .collect()
        };
        assert_eq!(missing(&all[1..]), ["/404.html"]);
        assert_eq!(missing(&[]), ["/404.html", "/app.html", "/%C3%BC.html"]);
        let protected = [entry("/404.html", Visibility::Protected), all[1].clone(), all[2].clone()];
        assert_eq!(missing(&protected), ["/404.html"]);
    }

    #[test]
    fn it_counts_at_the_root_alone_and_is_private_there() {
        assert!(is_site_file("/_skerry.toml") && !is_misplaced("/_skerry.toml"));
        assert!(is_misplaced("/docs/_skerry.toml") && !is_site_file("/docs/_skerry.toml"));
        assert!(!is_misplaced("/my_skerry.toml"));
        assert_eq!(visibility("/_skerry.toml", Visibility::Public), Visibility::Private);
        assert_eq!(visibility("/a", Visibility::Public), Visibility::Public);
    }

    #[test]
    fn something_older_may_show_where_rewrites_change_or_catch_a_removed_path() {
        let with = |status| SiteRules {
            redirects: vec![Redirect { from: "/*".into(), to: "/a".into(), status }],
            ..SiteRules::default()
        };
        let (none, rewrite) = (SiteRules::default(), with(RedirectStatus::Rewrite));
        let index = SiteRules { index: Some("home.html".into()), ..SiteRules::default() };
        let table = [
            (&none, &none, true, false),
            (&none, &with(RedirectStatus::Found), true, false),
            (&none, &rewrite, false, true),
            (&rewrite, &none, false, true),
            (&rewrite, &rewrite, false, false),
            (&rewrite, &rewrite, true, true),
            (&none, &index, false, true),
        ];
        for (number, (before, after, removes, expected)) in table.into_iter().enumerate() {
            assert_eq!(may_show_older(before, after, removes), expected, "case {number}");
        }
    }
}
