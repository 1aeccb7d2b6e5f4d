//! From files and folders to what is published: paths, visibilities by name, what is skipped, and all that is wrong, before any byte
//! is sent.

use bytes::Bytes;
use skerry_proto::path::AssetPath;
use skerry_proto::rules::SITE_FILE;
use skerry_proto::visibility::Visibility;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Files of one `put` at most; far above what a build may hold, and a bound on memory.
const FILE_COUNT_MAX: usize = 100_000;

/// Folders within folders at most.
const DEPTH_MAX: usize = 64;

/// Problems that are listed at most; the rest is counted.
const LISTED_MAX: usize = 20;

/// Where the bytes of an asset come from.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// A file, read as it is sent.
    File(PathBuf),
    /// Bytes at hand.
    Bytes(Bytes),
}

/// One asset that is to be published.
#[derive(Debug, Clone)]
pub(crate) struct PlannedFile {
    pub(crate) path: AssetPath,
    pub(crate) visibility: Visibility,
    /// Empty: the origin decides, by extension, else by content.
    pub(crate) content_type: String,
    pub(crate) size: u64,
    pub(crate) content: Content,
}

/// What to publish, and what was left out.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) files: Vec<PlannedFile>,
    /// Dot files, which `--hidden` takes along.
    pub(crate) skipped: Vec<PathBuf>,
    /// What else was left out.
    problems: Vec<String>,
}

/// How names become paths and visibilities.
#[derive(Debug, Clone, Default)]
pub(crate) struct NamingRule {
    /// Path of the only file, or folder of the only folder.
    pub(crate) path: Option<String>,
    /// Of what the name does not decide; `public` where it is not said.
    pub(crate) visibility: Option<Visibility>,
    /// Of all files.
    pub(crate) content_type: Option<String>,
    /// Whether dot files in folders come along.
    pub(crate) hidden: bool,
}

/// Looks at every file and folder. Blocks.
///
/// # Errors
/// Everything that is wrong, a line each.
pub(crate) fn plan(inputs: &[PathBuf], rule: &NamingRule) -> Result<Plan, String> {
    let mut plan = Plan::default();
    if rule.path.is_some() && inputs.len() != 1 {
        return Err(format!(
            "--path names one asset, but {} files were given; put them one by one, or in a folder",
            inputs.len()
        ));
    }
    for input in inputs {
        plan.input(input, rule);
    }
    plan.find_duplicates();
    if plan.problems.is_empty() { Ok(plan) } else { Err(listed(&plan.problems)) }
}

impl Plan {
    fn input(&mut self, input: &Path, rule: &NamingRule) {
        if input.as_os_str().is_empty() {
            return self.problem("the file name is empty".into());
        }
        let metadata = match fs::metadata(input) {
            Ok(metadata) => metadata,
            Err(error) => return self.problem(format!("{}: {error}", input.display())),
        };
        if metadata.is_dir() {
            let base = rule.path.as_deref().unwrap_or("/").trim_end_matches('/').to_owned();
            let before = self.files.len() + self.skipped.len() + self.problems.len();
            self.folder(input, &base, rule, 0);
            if before == self.files.len() + self.skipped.len() + self.problems.len() {
                self.problem(format!("{}: the folder is empty", input.display()));
            }
        } else {
            self.named_file(input, &metadata, rule);
        }
    }

    /// A file that was named itself, not found in a folder.
    fn named_file(&mut self, file: &Path, metadata: &fs::Metadata, rule: &NamingRule) {
        let Some(name) = file.file_name().and_then(|name| name.to_str()) else {
            return self.problem(format!(
                "{}: the file name is not UTF-8; name the path with --path",
                file.display()
            ));
        };
        let (name, by_name) = by_name(name);
        if let (Some(by_name), Some(asked)) = (by_name, rule.visibility)
            && by_name != asked
        {
            return self.problem(format!(
                "{}: its name says {by_name}, --visibility says {asked}; rename the file, or leave --visibility out",
                file.display()
            ));
        }
        let path = rule.path.clone().unwrap_or_else(|| format!("/{name}"));
        self.file(file, metadata, &path, by_name.or(rule.visibility), rule);
    }

    fn folder(&mut self, folder: &Path, base: &str, rule: &NamingRule, depth: usize) {
        if depth > DEPTH_MAX {
            return self
                .problem(format!("{}: more than {DEPTH_MAX} folders within folders", folder.display()));
        }
        let entries = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let mut entries = match entries {
            Ok(entries) => entries,
            Err(error) => return self.problem(format!("{}: {error}", folder.display())),
        };
        // The order of a folder is the file system's; ours is the same everywhere.
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            self.entry(&entry.path(), base, rule, depth);
            if self.files.len() >= FILE_COUNT_MAX {
                return self.problem(format!("{}: more than {FILE_COUNT_MAX} files", folder.display()));
            }
        }
    }

    fn entry(&mut self, entry: &Path, base: &str, rule: &NamingRule, depth: usize) {
        let Some(name) = entry.file_name().and_then(|name| name.to_str()) else {
            return self
                .problem(format!("{}: the name is not UTF-8, so no path can hold it", entry.display()));
        };
        if name.starts_with('.') && !rule.hidden {
            return self.skipped.push(entry.to_owned());
        }
        let looked = fs::symlink_metadata(entry).and_then(|own| Ok((own.is_symlink(), fs::metadata(entry)?)));
        let (is_link, metadata) = match looked {
            Ok(looked) => looked,
            Err(error) => return self.problem(format!("{}: {error}", entry.display())),
        };
        if !metadata.is_dir() {
            let (name, by_name) = by_name(name);
            return self.file(entry, &metadata, &format!("{base}/{name}"), by_name.or(rule.visibility), rule);
        }
        if is_link {
            // It could lead in a circle, or out of what was meant.
            return self.problem(format!(
                "{}: a symbolic link to a folder; put that folder itself",
                entry.display()
            ));
        }
        self.folder(entry, &format!("{base}/{name}"), rule, depth + 1);
    }

    fn file(
        &mut self,
        file: &Path,
        metadata: &fs::Metadata,
        path: &str,
        visibility: Option<Visibility>,
        rule: &NamingRule,
    ) {
        if !metadata.is_file() {
            return self.problem(format!("{}: not a file", file.display()));
        }
        match path.parse::<AssetPath>() {
            Ok(path) => self.files.push(PlannedFile {
                // What a build declares is read by the origin, and served to nobody.
                visibility: match path.as_str() {
                    SITE_FILE => Visibility::Private,
                    _ => visibility.unwrap_or(Visibility::Public),
                },
                path,
                content_type: rule.content_type.clone().unwrap_or_default(),
                size: metadata.len(),
                content: Content::File(file.to_owned()),
            }),
            Err(error) => {
                self.problem(format!("{}: {path:?} is no path of an asset: {error}", file.display()))
            }
        }
    }

    fn find_duplicates(&mut self) {
        let mut seen: HashMap<&AssetPath, &Content> = HashMap::new();
        let mut problems = Vec::new();
        for file in &self.files {
            if let Some(first) = seen.insert(&file.path, &file.content) {
                problems.push(format!(
                    "{} and {} would both be {}",
                    shown(first),
                    shown(&file.content),
                    file.path
                ));
            }
        }
        self.problems.extend(problems);
    }

    fn problem(&mut self, problem: String) {
        self.problems.push(problem);
    }
}

fn shown(content: &Content) -> String {
    match content {
        Content::File(file) => file.display().to_string(),
        Content::Bytes(bytes) => format!("{} bytes", bytes.len()),
    }
}

fn listed(problems: &[String]) -> String {
    let mut text = String::from("nothing was sent:");
    for problem in problems.iter().take(LISTED_MAX) {
        text.push_str("\n  ");
        text.push_str(problem);
    }
    if let Some(more @ 1..) = problems.len().checked_sub(LISTED_MAX) {
        text.push_str(&format!("\n  and {more} more"));
    }
    text
}

/// What a file name says about visibility, and the name without it, as Twilio's toolkit reads it.
fn by_name(name: &str) -> (String, Option<Visibility>) {
    for (mark, visibility) in [(".private.", Visibility::Private), (".protected.", Visibility::Protected)] {
        if let Some((before, after)) = name.split_once(mark) {
            return (format!("{before}.{after}"), Some(visibility));
        }
    }
    (name.to_owned(), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().expect("below the folder")).expect("makes");
            fs::write(path, file).expect("writes");
        }
        folder
    }

    fn paths(plan: &Plan) -> Vec<(&str, Visibility)> {
        plan.files.iter().map(|file| (file.path.as_str(), file.visibility)).collect()
    }

    fn of(folder: &tempfile::TempDir, rule: &NamingRule) -> Plan {
        plan(&[folder.path().to_owned()], rule).expect("a plan")
    }

    #[test]
    fn names_set_visibilities_and_lose_the_mark() {
        let cases = [
            ("a.txt", "a.txt", None),
            ("a.private.txt", "a.txt", Some(Visibility::Private)),
            ("a.b.protected.tar.gz", "a.b.tar.gz", Some(Visibility::Protected)),
            ("private.txt", "private.txt", None),
            ("a.private", "a.private", None),
            ("a.Private.txt", "a.Private.txt", None),
        ];
        for (name, expected, visibility) in cases {
            assert_eq!(by_name(name), (expected.to_owned(), visibility), "{name}");
        }
    }

    #[test]
    fn a_folder_is_taken_with_its_folders_and_without_dot_files() {
        let folder = folder(&["index.html", "css/a.css", "keys.private.json", ".env", ".git/config"]);
        let plan = of(&folder, &NamingRule::default());
        let expected = [
            ("/css/a.css", Visibility::Public),
            ("/index.html", Visibility::Public),
            ("/keys.json", Visibility::Private),
        ];
        assert_eq!(paths(&plan), expected);
        assert_eq!(plan.skipped, [folder.path().join(".env"), folder.path().join(".git")]);
    }

    #[test]
    fn what_a_build_declares_is_private_at_the_root_whatever_is_asked() {
        let folder = folder(&["_skerry.toml", "a.txt"]);
        let rule = NamingRule { visibility: Some(Visibility::Public), ..NamingRule::default() };
        let expected = [("/_skerry.toml", Visibility::Private), ("/a.txt", Visibility::Public)];
        assert_eq!(paths(&of(&folder, &rule)), expected);
    }

    #[test]
    fn hidden_files_and_another_base_are_a_matter_of_asking() {
        let folder = folder(&[".well-known/x", "a"]);
        let rule = NamingRule {
            hidden: true,
            path: Some("/base/".into()),
            visibility: Some(Visibility::Private),
            ..NamingRule::default()
        };
        let expected = [("/base/.well-known/x", Visibility::Private), ("/base/a", Visibility::Private)];
        assert_eq!(paths(&of(&folder, &rule)), expected);
    }

    #[test]
    fn a_file_that_is_named_may_be_hidden_and_have_another_path() {
        let folder = folder(&[".htaccess", "a.txt"]);
        let one = |file: &str, rule: &NamingRule| plan(&[folder.path().join(file)], rule).expect("a plan");
        assert_eq!(paths(&one(".htaccess", &NamingRule::default())), [("/.htaccess", Visibility::Public)]);
        let rule = NamingRule { path: Some("/x/y".into()), ..NamingRule::default() };
        assert_eq!(paths(&one("a.txt", &rule)), [("/x/y", Visibility::Public)]);
    }

    #[test]
    fn everything_that_is_wrong_is_found_before_anything_is_sent() {
        let folder = folder(&["a.txt", "b/a.txt"]);
        let inputs = ["a.txt", "b/a.txt", "missing", ""]
            .map(|name| if name.is_empty() { PathBuf::new() } else { folder.path().join(name) });
        let text = plan(&inputs, &NamingRule::default()).expect_err("wrong");
        for part in ["missing", "the file name is empty", "would both be /a.txt"] {
            assert!(text.contains(part), "{part:?} in {text}");
        }
    }

    #[test]
    fn bad_paths_are_refused_with_the_rule_that_they_break() {
        let folder = folder(&["a.txt"]);
        let long = format!("/{}", "x".repeat(255));
        for (path, part) in [
            ("/", "file name is empty"),
            ("/../x", ".. segment"),
            ("/.skerry/x", "reserved"),
            (long.as_str(), "255"),
            ("/a\0", "NUL"),
        ] {
            let rule = NamingRule { path: Some(path.into()), ..NamingRule::default() };
            let text = plan(&[folder.path().join("a.txt")], &rule).expect_err("bad");
            assert!(text.contains(part), "{part:?} in {text}");
        }
    }

    #[test]
    fn a_named_file_whose_name_and_option_disagree_is_refused() {
        let folder = folder(&["a.private.txt"]);
        let rule = NamingRule { visibility: Some(Visibility::Public), ..NamingRule::default() };
        let text = plan(&[folder.path().join("a.private.txt")], &rule).expect_err("disagree");
        assert!(text.contains("private") && text.contains("--visibility"), "{text}");
    }

    #[test]
    fn a_path_for_two_files_and_an_empty_folder_are_refused() {
        let folder = folder(&["a", "b"]);
        let rule = NamingRule { path: Some("/x".into()), ..NamingRule::default() };
        assert!(plan(&[folder.path().join("a"), folder.path().join("b")], &rule).is_err());
        let empty = tempfile::tempdir().expect("a temporary folder");
        assert!(
            plan(&[empty.path().to_owned()], &NamingRule::default()).expect_err("empty").contains("is empty")
        );
    }
}
