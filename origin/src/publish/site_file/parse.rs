//! Reading `_skerry.toml`: everything that is wrong is found at once, each with its line, its key, and what is accepted.

use super::{HeaderRule, Pattern, SiteFile};
use skerry_proto::manifest::ENTRY_FIELDS_MAX;
use skerry_proto::path::PATH_CHARS_MAX;
use skerry_proto::rules::{
    FIELD_VALUE_LEN_MAX, HeaderField, InvalidRedirect, REDIRECTS_MAX, Redirect, RedirectStatus,
    is_field_value, is_index_name,
};
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Header rules at most: each is compared with each path of a build.
const HEADER_RULES_MAX: usize = 200;

/// One thing that is wrong with the file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    line: usize,
    /// Empty where there is none.
    key: String,
    what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.as_str() {
            "" => write!(f, "line {}: {}", self.line, self.what),
            key => write!(f, "line {}: {key}: {}", self.line, self.what),
        }
    }
}

/// Reads the file.
///
/// # Errors
/// Everything that is wrong, by line; at least one problem.
pub(super) fn parse(bytes: &[u8]) -> Result<SiteFile, Vec<Problem>> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = String::from_utf8_lossy(bytes.get(..error.valid_up_to()).unwrap_or_default());
        vec![Problem {
            line: line_of(&before, before.len()),
            key: String::new(),
            what: "this is not UTF-8".into(),
        }]
    })?;
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        vec![Problem { line: line_of(text, at), key: String::new(), what: error.message().to_owned() }]
    })?;
    let mut reader = Reader { text, problems: Vec::new() };
    let file = reader.file(table.get_ref());
    reader.problems.sort();
    if reader.problems.is_empty() { Ok(file) } else { Err(reader.problems) }
}

/// Number of the line in which a byte stands.
fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

/// Reads on after a problem, so that all of them are found.
struct Reader<'a> {
    text: &'a str,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn problem(&mut self, at: &Range<usize>, key: &str, what: impl Into<String>) {
        let line = line_of(self.text, at.start);
        self.problems.push(Problem { line, key: key.to_owned(), what: what.into() });
    }

    fn file(&mut self, table: &DeTable<'_>) -> SiteFile {
        let mut file = SiteFile::default();
        for (name, value) in table {
            match name.get_ref().as_ref() {
                "index" => file.rules.index = self.index(value),
                "not_found" => file.rules.not_found = self.path("not_found", value),
                "headers" => {
                    file.headers = self.tables("headers", HEADER_RULES_MAX, value, |reader, table, at| {
                        reader.header_rule(table, at)
                    });
                    self.check_field_count(value, &file.headers);
                }
                "redirects" => {
                    file.rules.redirects =
                        self.tables("redirects", REDIRECTS_MAX, value, |reader, table, at| {
                            reader.redirect(table, at)
                        });
                }
                unknown => self.problem(
                    &name.span(),
                    unknown,
                    "unknown key; there are index, not_found, [[headers]] and [[redirects]]",
                ),
            }
        }
        file
    }

    fn index(&mut self, value: &Spanned<DeValue<'_>>) -> Option<String> {
        let name = self.text("index", value)?;
        if is_index_name(name) {
            return Some(name.to_owned());
        }
        self.problem(&value.span(), "index", "this is a file name without a slash, such as index.html");
        None
    }

    fn path<T: std::str::FromStr<Err: fmt::Display>>(
        &mut self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
    ) -> Option<T> {
        let text = self.text(key, value)?;
        text.parse()
            .map_err(|error| self.problem(&value.span(), key, format!("{text:?} is no path: {error}")))
            .ok()
    }

    fn text<'t>(&mut self, key: &str, value: &'t Spanned<DeValue<'_>>) -> Option<&'t str> {
        let text = value.get_ref().as_str();
        if text.is_none() {
            let found = value.get_ref().type_str();
            self.problem(
                &value.span(),
                key,
                format!("a text in quotes is expected here, not a value of type {found}"),
            );
        }
        text
    }

    /// The tables `[[key]]`, each read by `read`.
    fn tables<T>(
        &mut self,
        key: &str,
        count_max: usize,
        value: &Spanned<DeValue<'_>>,
        read: impl Fn(&mut Self, &DeTable<'_>, &Range<usize>) -> Option<T>,
    ) -> Vec<T> {
        let Some(array) = value.get_ref().as_array() else {
            self.problem(&value.span(), key, format!("each begins with a line [[{key}]]"));
            return Vec::new();
        };
        if array.len() > count_max {
            self.problem(
                &value.span(),
                key,
                format!("there are {}, at most {count_max} are allowed", array.len()),
            );
            return Vec::new();
        }
        let mut all = Vec::new();
        for item in array {
            match item.get_ref().as_table() {
                Some(table) => all.extend(read(self, table, &item.span())),
                None => self.problem(&item.span(), key, format!("each begins with a line [[{key}]]")),
            }
        }
        all
    }

    fn header_rule(&mut self, table: &DeTable<'_>, at: &Range<usize>) -> Option<HeaderRule> {
        let mut rule =
            HeaderRule { pattern: Pattern(String::new()), cache_control: None, fields: Vec::new() };
        let mut seen = HashSet::new();
        for (name, value) in table {
            let (name, at) = (name.get_ref().as_ref(), name.span());
            let Some(text) = self.text(name, value) else { continue };
            if name == "path" {
                rule.pattern = self.pattern(text, &value.span());
                continue;
            }
            let lower = name.to_ascii_lowercase();
            if !seen.insert(lower.clone()) {
                self.problem(&at, name, "the rule sets this field twice; upper and lower case are the same");
            } else if lower == "cache-control" {
                rule.cache_control = Some(text.to_owned());
                if !is_field_value(text) {
                    let what = format!(
                        "the value is not 1 to {FIELD_VALUE_LEN_MAX} visible ASCII characters and spaces"
                    );
                    self.problem(&at, name, what);
                }
            } else {
                match HeaderField::new(name, text) {
                    Ok(field) => rule.fields.push(field),
                    Err(error) => self.problem(&at, name, error.to_string()),
                }
            }
        }
        if !table.contains_key("path") {
            self.problem(at, "headers", "path is missing, such as path = \"/assets/*\"");
        } else if seen.is_empty() {
            self.problem(at, "headers", "the rule sets no field, such as x-frame-options = \"DENY\"");
        }
        Some(rule)
    }

    fn pattern(&mut self, text: &str, at: &Range<usize>) -> Pattern {
        if !text.starts_with('/') || text.chars().count() > PATH_CHARS_MAX {
            let what =
                format!("begins with / and has at most {PATH_CHARS_MAX} characters; * stands for anything");
            self.problem(at, "headers.path", what);
        }
        Pattern(text.to_owned())
    }

    /// An entry has a bound on its fields, so the file has it, too: whatever rules match together.
    fn check_field_count(&mut self, value: &Spanned<DeValue<'_>>, headers: &[HeaderRule]) {
        let names: HashSet<&str> =
            headers.iter().flat_map(|rule| &rule.fields).map(HeaderField::name).collect();
        if names.len() > ENTRY_FIELDS_MAX {
            let what = format!(
                "all rules together set {} fields, at most {ENTRY_FIELDS_MAX} are allowed",
                names.len()
            );
            self.problem(&value.span(), "headers", what);
        }
    }

    fn redirect(&mut self, table: &DeTable<'_>, at: &Range<usize>) -> Option<Redirect> {
        let (mut from, mut to, mut status) = (None, None, Some(RedirectStatus::PermanentRedirect));
        for (name, value) in table {
            match name.get_ref().as_ref() {
                "from" => from = self.text("redirects.from", value),
                "to" => to = self.text("redirects.to", value),
                "status" => status = self.status(value),
                unknown => self.problem(
                    &name.span(),
                    &format!("redirects.{unknown}"),
                    "unknown key; there are from, to and status",
                ),
            }
        }
        for key in ["from", "to"].into_iter().filter(|key| !table.contains_key(*key)) {
            self.problem(at, "redirects", format!("{key} is missing, such as {key} = \"/a\""));
        }
        let redirect = Redirect { from: from?.to_owned(), to: to?.to_owned(), status: status? };
        if let Err(error) = redirect.check() {
            let key = if error == InvalidRedirect::From { "from" } else { "to" };
            let at = table.get(key).map_or(at.clone(), Spanned::span);
            self.problem(&at, &format!("redirects.{key}"), error.to_string());
        }
        Some(redirect)
    }

    fn status(&mut self, value: &Spanned<DeValue<'_>>) -> Option<RedirectStatus> {
        let number = value.get_ref().as_integer();
        let code = number.and_then(|number| u32::from_str_radix(number.as_str(), number.radix()).ok());
        let status = code.and_then(RedirectStatus::from_code);
        if status.is_none() {
            let what = "one of 301, 302, 303, 307, 308, or 200 to show the asset at `to`";
            self.problem(&value.span(), "redirects.status", what);
        }
        status
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        parse(text.as_bytes()).expect_err(text).iter().map(Problem::to_string).collect()
    }

    #[test]
    fn the_example_in_the_guide_is_read() {
        let file = parse(include_bytes!("../../../../deploy/examples/_skerry.toml")).expect("valid");
        assert_eq!(file.rules.index.as_deref(), Some("index.html"));
        assert_eq!(file.rules.not_found.expect("declared").as_str(), "/404.html");
        assert_eq!((file.headers.len(), file.rules.redirects.len()), (2, 3));
        assert_eq!(file.headers[0].pattern, Pattern("/assets/*".into()));
        assert_eq!(file.rules.redirects[0].status, RedirectStatus::PermanentRedirect, "the default");
    }

    #[test]
    fn an_empty_file_declares_nothing() {
        assert_eq!(parse(b"").expect("valid"), SiteFile::default());
    }

    #[test]
    fn each_problem_names_its_line_its_key_and_what_is_accepted() {
        let table = [
            (
                "\nindx = \"a\"",
                "line 2: indx: unknown key; there are index, not_found, [[headers]] and [[redirects]]",
            ),
            ("index = \"a/b\"", "line 1: index: this is a file name without a slash, such as index.html"),
            ("index = 7", "line 1: index: a text in quotes is expected here, not a value of type integer"),
            ("not_found = \"404.html\"", "line 1: not_found: \"404.html\" is no path: a path begins with /"),
            ("headers = 1", "line 1: headers: each begins with a line [[headers]]"),
            ("\n[headers]\npath = \"/\"", "line 2: headers: each begins with a line [[headers]]"),
            ("[[headers]]\nx-a = \"1\"", "line 1: headers: path is missing, such as path = \"/assets/*\""),
            (
                "\n[[headers]]\npath = \"/a\"",
                "line 2: headers: the rule sets no field, such as x-frame-options = \"DENY\"",
            ),
            (
                "[[headers]]\npath = \"a\"\nx-a = \"1\"",
                "line 2: headers.path: begins with / and has at most 255 characters; * stands for anything",
            ),
            (
                "[[headers]]\npath = \"/*\"\n\nSet-Cookie = \"a=b\"",
                "line 4: Set-Cookie: this field is set by the edge and cannot be declared",
            ),
            (
                "[[headers]]\npath = \"/*\"\nx-a = \"\u{fc}\"",
                "line 3: x-a: the value is not 1 to 4096 visible ASCII characters and spaces",
            ),
            (
                "[[headers]]\npath = \"/*\"\ncache-control = \"\"",
                "line 3: cache-control: the value is not 1 to 4096 visible ASCII characters and spaces",
            ),
            (
                "[[headers]]\npath = \"/*\"\nX-A = \"1\"\nx-a = \"2\"",
                "line 4: x-a: the rule sets this field twice; upper and lower case are the same",
            ),
            ("[[redirects]]\nto = \"/a\"", "line 1: redirects: from is missing, such as from = \"/a\""),
            (
                "[[redirects]]\nfrom = \"/a\"\nto = \"/b\"\nstatus = 304",
                "line 4: redirects.status: one of 301, 302, 303, 307, 308, or 200 to show the asset at `to`",
            ),
            (
                "[[redirects]]\nfrom = \"/a\"\nto = \"/b\"\ncode = 301",
                "line 4: redirects.code: unknown key; there are from, to and status",
            ),
            (
                "[[redirects]]\nfrom = \"/a*\"\nto = \"/b\"",
                "line 2: redirects.from: `from` is a path, such as /old, or everything below one, such as /old/*",
            ),
            (
                "[[redirects]]\nfrom = \"/a\"\nto = \"//evil.example\"",
                "line 3: redirects.to: `to` is a path, such as /new, or a URL that begins with https:// or http://",
            ),
        ];
        for (text, expected) in table {
            assert_eq!(problems(text), [expected], "{text}");
        }
    }

    #[test]
    fn what_is_no_toml_or_no_text_names_the_line() {
        assert!(problems("index = \"a\"\nnot_found = ")[0].starts_with("line 2: "));
        assert!(problems("index = \"a\"\nindex = \"b\"")[0].starts_with("line 2: "), "the same key twice");
        let error = parse(b"index = \"a\"\n# \xff").expect_err("no UTF-8");
        assert_eq!(error[0].to_string(), "line 2: this is not UTF-8");
    }

    #[test]
    fn whatever_the_bytes_are_they_are_read_or_refused_with_a_line_of_the_file() {
        let good = include_bytes!("../../../../deploy/examples/_skerry.toml");
        let lines = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        let look = |bytes: &[u8]| match parse(bytes) {
            Ok(_) => {}
            Err(problems) => {
                assert!(!problems.is_empty());
                assert!(
                    problems.iter().all(|problem| (1..=lines + 1).contains(&problem.line)),
                    "{problems:?}"
                );
            }
        };
        for at in 0..good.len() {
            look(&good[..at]);
            for byte in [0, b'"', b'[', b'\n', b'*', 0x80, 0xff] {
                let mut bytes = good.to_vec();
                bytes[at] = byte;
                look(&bytes);
            }
        }
    }

    #[test]
    fn all_problems_are_found_at_once_by_line() {
        let text = "zzz = 1\n[[redirects]]\nfrom = 1\n[[headers]]\npath = \"/\"\nage = \"1\"";
        let lines: Vec<_> = problems(text).iter().map(|line| line[..7].to_owned()).collect();
        assert_eq!(lines, ["line 1:", "line 2:", "line 3:", "line 6:"]);
    }

    #[test]
    fn rules_and_fields_have_bounds() {
        let rules = "[[headers]]\npath = \"/\"\nx-a = \"1\"\n".repeat(HEADER_RULES_MAX + 1);
        assert!(problems(&rules)[0].contains("there are 201, at most 200 are allowed"));
        let fields: String = (0..=ENTRY_FIELDS_MAX).map(|number| format!("x-{number} = \"1\"\n")).collect();
        let text = format!("[[headers]]\npath = \"/\"\n{fields}");
        assert!(problems(&text)[0].contains("all rules together set 33 fields, at most 32 are allowed"));
    }
}
