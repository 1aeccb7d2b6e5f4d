//! What a build declares for the whole site, ready to be asked.

use super::asset::Asset;
use foldhash::{HashMap, HashMapExt};
use skerry_proto::rules::{Redirect, SiteRules};
use std::sync::Arc;

/// Index, redirects and the page for what is not there.
#[derive(Debug, Default)]
pub struct Rules {
    /// Name of the asset that a path ending in `/` shows; without it, `/` alone shows `/index.html`.
    pub index: Option<Box<str>>,
    /// What a 404 shows.
    pub not_found: Option<Arc<Asset>>,
    redirects: Vec<Redirect>,
    /// The first redirect from exactly this path.
    exact: HashMap<Box<str>, usize>,
    /// Redirects from everything below a path, in their order.
    below: Vec<usize>,
}

/// A redirect that fits a path.
#[derive(Debug, Clone, Copy)]
pub struct Fit<'a> {
    /// Its place in the order of declaration.
    pub place: usize,
    /// The redirect itself.
    pub redirect: &'a Redirect,
    /// What its `*` matches; empty where it has none.
    pub splat: &'a str,
}

impl Rules {
    pub(super) fn new(rules: SiteRules, not_found: Option<Arc<Asset>>) -> Self {
        let mut exact = HashMap::new();
        let mut below = Vec::new();
        for (number, redirect) in rules.redirects.iter().enumerate() {
            match redirect.prefix() {
                Some(_) => below.push(number),
                None => {
                    exact.entry(redirect.from.as_str().into()).or_insert(number);
                }
            }
        }
        Self { index: rules.index.map(Into::into), not_found, redirects: rules.redirects, exact, below }
    }

    /// The first redirect that fits a path.
    pub fn redirect<'a>(&'a self, path: &'a str) -> Option<Fit<'a>> {
        let exact = self.exact.get(path).copied();
        let below = |place: &usize| {
            let redirect = self.redirects.get(*place)?;
            Some(Fit { place: *place, redirect, splat: path.strip_prefix(redirect.prefix()?)? })
        };
        let before = self.below.iter().take_while(|place| exact.is_none_or(|exact| **place < exact));
        before.filter_map(below).next().or_else(|| {
            let place = exact?;
            Some(Fit { place, redirect: self.redirects.get(place)?, splat: "" })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skerry_proto::rules::RedirectStatus;

    #[test]
    fn the_first_redirect_that_fits_counts() {
        let redirect = |from: &str, to: &str| Redirect {
            from: from.into(),
            to: to.into(),
            status: RedirectStatus::Found,
        };
        let redirects = vec![
            redirect("/a", "/1"),
            redirect("/docs/old", "/2"),
            redirect("/docs/*", "/3/:splat"),
            redirect("/docs/late", "/4"),
            redirect("/a", "/5"),
            redirect("/*", "/6"),
            redirect("/docs/x/*", "/7"),
        ];
        let rules = Rules::new(SiteRules { redirects, ..SiteRules::default() }, None);
        let cases = [
            ("/a", "/1", ""),
            ("/docs/old", "/2", ""),
            ("/docs/late", "/3/:splat", "late"),
            ("/docs/x/y", "/3/:splat", "x/y"),
            ("/docs/", "/3/:splat", ""),
            ("/docs", "/6", "docs"),
            ("/", "/6", ""),
        ];
        for (path, to, splat) in cases {
            let found = rules.redirect(path).map(|fit| (fit.redirect.to.as_str(), fit.splat));
            assert_eq!(found, Some((to, splat)), "{path}");
        }
        assert!(Rules::default().redirect("/a").is_none());
    }
}
