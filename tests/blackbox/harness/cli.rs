//! A shell in a folder, with what the command line needs in its environment.

use super::process::{Process, skerry};
use super::text;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// A folder and an environment.
#[derive(Debug, Clone)]
pub(crate) struct Cli {
    folder: PathBuf,
    environment: Vec<(String, String)>,
}

/// How a command ended, and what it said.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Cli {
    /// A shell that knows nothing.
    pub(crate) fn new(folder: &Path) -> Self {
        fs::create_dir_all(folder).expect("a folder");
        Self { folder: folder.to_owned(), environment: Vec::new() }
    }

    /// The same with a variable more, or another value for it.
    pub(crate) fn with(mut self, key: &str, value: &str) -> Self {
        self.environment.retain(|(known, _)| known != key);
        self.environment.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Its folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes a file into its folder, and says where it is.
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.folder.join(name);
        fs::create_dir_all(path.parent().expect("below a folder")).expect("a folder");
        fs::write(&path, content).expect("writes");
        path
    }

    /// Reads a file of its folder.
    pub(crate) fn read(&self, name: &str) -> String {
        text(&self.folder.join(name))
    }

    /// Starts a command and goes on.
    #[track_caller]
    pub(crate) fn start(&self, arguments: &[&str]) -> Process {
        let mut command = skerry();
        command.args(arguments).current_dir(&self.folder).envs(self.environment.iter().cloned());
        Process::spawn(&format!("skerry {}", arguments.join(" ")), command)
    }

    /// Runs a command to its end, however that is.
    #[track_caller]
    pub(crate) fn attempt(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(&mut self.start(arguments))
    }

    /// Runs a command that must succeed.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        let outcome = self.attempt(arguments);
        assert_eq!(outcome.code, Some(0), "skerry {} failed: {outcome:#?}", arguments.join(" "));
        outcome
    }

    /// Runs a command that must fail, and say each of `words`, and nothing that only a programmer would understand.
    #[track_caller]
    pub(crate) fn refused(&self, arguments: &[&str], words: &[&str]) -> Outcome {
        let outcome = self.attempt(arguments);
        outcome.assert_refused(words);
        outcome
    }

    /// Writes a file and publishes it under a path; returns when every edge shows it.
    #[track_caller]
    pub(crate) fn put(&self, path: &str, content: &[u8]) -> Outcome {
        let file = self.write(&format!("put{path}"), content);
        self.run(&["put", file.to_str().expect("UTF-8"), "--path", path, "--wait"])
    }
}

impl Outcome {
    /// Waits for the end of a process.
    #[track_caller]
    pub(crate) fn of(process: &mut Process) -> Self {
        let code = process.wait().code();
        let said = process.said();
        Self { code, stdout: said.stdout, stderr: said.stderr }
    }

    /// The JSON on standard output.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {:?}", self.stdout))
    }

    #[track_caller]
    pub(crate) fn assert_refused(&self, words: &[&str]) {
        assert!(matches!(self.code, Some(code) if code != 0), "expected a failure: {self:#?}");
        for word in words {
            assert!(
                self.stderr.to_lowercase().contains(&word.to_lowercase()),
                "expected {word:?} in {self:#?}"
            );
        }
        for word in ["panicked", "RUST_BACKTRACE", "Some("] {
            assert!(!self.stderr.contains(word), "no {word:?} for people, please: {self:#?}");
        }
    }
}
