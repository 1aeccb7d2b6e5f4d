//! The data folder of a development server, and its first start.
//!
//! A first start leaves the marker `first-start` until the account is durably written down. Before that nobody can have published
//! anything, so a folder with the marker is cleared and begun anew; and a new folder whose first start fails goes again.

use super::hint::Hints;
use crate::client::{CA_FILE, CREDENTIALS_FILE, Credentials, RUNNING_FILE, Running, URL_KEY_FILE, read_json};
use crate::failure::Failure;
use crate::files;
use skerry_folder::{DataFolder, FolderError, Readers};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// There from the beginning of a first start until it is durable.
const FIRST_START: &str = "first-start";

/// There from the end of a first start until the demo is published.
const DEMO_PENDING: &str = "demo-pending";

const ORIGIN: &str = "origin";
const EDGE_PREFIX: &str = "edge-";

/// A data folder that this process has to itself.
#[derive(Debug)]
pub(super) struct DevFolder {
    is_first_start: bool,
    folder: DataFolder,
}

impl DevFolder {
    /// Takes the folder, making it where it is missing.
    pub(super) fn take(path: &Path, hints: &Hints) -> Result<Self, Failure> {
        let folder = DataFolder::take(path).map_err(|error| refused(path, &error, hints))?;
        let mut folder = Self { is_first_start: false, folder };
        folder.begin()?;
        Ok(folder)
    }

    fn begin(&mut self) -> Result<(), Failure> {
        let marker = self.path().join(FIRST_START);
        if marker.exists() {
            self.is_first_start = true;
            self.clear()?;
        } else if !self.path().join(ORIGIN).exists() && !self.path().join(CREDENTIALS_FILE).exists() {
            self.is_first_start = true;
            files::write(&marker, b"", Readers::Owner)?;
        }
        Ok(())
    }

    /// Whether there was nothing before.
    pub(super) const fn is_first_start(&self) -> bool {
        self.is_first_start
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The origin's part.
    pub(super) fn origin(&self) -> PathBuf {
        self.path().join(ORIGIN)
    }

    /// An edge's part; numbers begin with 1.
    pub(super) fn edge(&self, number: u16) -> PathBuf {
        self.path().join(format!("{EDGE_PREFIX}{number}"))
    }

    /// The certificate that clients trust.
    pub(super) fn ca_file(&self) -> PathBuf {
        self.path().join(CA_FILE)
    }

    /// The first account.
    pub(super) fn credentials(&self) -> Result<Credentials, Failure> {
        let path = self.path().join(CREDENTIALS_FILE);
        read_json(&path)?.ok_or_else(|| {
            Failure::new(format!("{} is missing; it holds the only copy of the auth token", path.display()))
                .hint("restore it from a backup, or begin with another folder: --data DIR")
        })
    }

    /// Writes the first account down, durably.
    pub(super) fn keep_credentials(&self, credentials: &Credentials) -> Result<(), Failure> {
        let json = serde_json::to_vec_pretty(credentials).map_err(|error| Failure::of(&error))?;
        files::write(&self.path().join(CREDENTIALS_FILE), &json, Readers::Owner)?;
        Ok(())
    }

    /// Writes the private key that signs URLs, durably.
    pub(super) fn keep_url_key(&self, pem: &str) -> Result<(), Failure> {
        Ok(files::write(&self.path().join(URL_KEY_FILE), pem.as_bytes(), Readers::Owner)?)
    }

    /// Writes the certificate that clients trust, unless it is there.
    pub(super) fn keep_ca(&self, pem: &str) -> Result<(), Failure> {
        let file = self.ca_file();
        if fs::read(&file).is_ok_and(|there| there == pem.as_bytes()) {
            return Ok(());
        }
        Ok(files::write(&file, pem.as_bytes(), Readers::All)?)
    }

    /// From here on the folder holds what must not be lost.
    pub(super) fn finish_first_start(&mut self) -> Result<(), Failure> {
        if self.is_first_start {
            files::write(&self.path().join(DEMO_PENDING), b"", Readers::Owner)?;
            files::remove(&self.path().join(FIRST_START))?;
            self.folder.keep();
            self.is_first_start = false;
        }
        Ok(())
    }

    /// Whether the demo is still to be published.
    pub(super) fn demo_is_pending(&self) -> bool {
        self.path().join(DEMO_PENDING).exists()
    }

    /// Never again.
    pub(super) fn demo_is_done(&self) -> Result<(), Failure> {
        Ok(files::remove(&self.path().join(DEMO_PENDING))?)
    }

    /// Tells client commands where this process listens.
    pub(super) fn running(&self, running: &Running) -> Result<(), Failure> {
        let json = serde_json::to_vec_pretty(running).map_err(|error| Failure::of(&error))?;
        Ok(files::write(&self.path().join(RUNNING_FILE), &json, Readers::Owner)?)
    }

    /// Nobody listens any more.
    pub(super) fn stopped(&self) {
        if let Err(error) = files::remove(&self.path().join(RUNNING_FILE)) {
            tracing::warn!(%error, "client commands may look for this process in vain");
        }
    }

    /// Removes what an unfinished first start left.
    fn clear(&self) -> Result<(), Failure> {
        let failed =
            |error: io::Error| Failure::new(format!("cannot clear {}: {error}", self.path().display()));
        for entry in fs::read_dir(self.path()).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name == ORIGIN || is_edge(&name) {
                fs::remove_dir_all(entry.path()).map_err(failed)?;
            } else if [CREDENTIALS_FILE, URL_KEY_FILE, CA_FILE, DEMO_PENDING, RUNNING_FILE].contains(&&*name)
            {
                fs::remove_file(entry.path()).map_err(failed)?;
            }
        }
        Ok(())
    }
}

fn is_edge(name: &str) -> bool {
    name.strip_prefix(EDGE_PREFIX).is_some_and(|number| number.parse::<u16>().is_ok())
}

fn refused(path: &Path, error: &FolderError, hints: &Hints) -> Failure {
    if !matches!(error, FolderError::Locked(_)) {
        return hints.of_folder(error);
    }
    hints.other_folder_and_ports(Failure::new(format!(
        "the data folder {} is in use by another skerry process{}",
        path.display(),
        process(path)
    )))
}

fn process(path: &Path) -> String {
    match read_json::<Running>(&path.join(RUNNING_FILE)) {
        Ok(Some(running)) => format!(" (process {})", running.pid),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::dev::Options;

    fn take(path: &Path) -> Result<DevFolder, Failure> {
        DevFolder::take(path, &Hints::new(&Options { data: path.to_owned(), ..Options::default() }))
    }

    fn credentials() -> Credentials {
        serde_json::from_str(r#"{"account_sid":"AC1","auth_token":"t"}"#).expect("JSON")
    }

    #[test]
    fn a_first_start_that_fails_leaves_nothing() {
        let parent = tempfile::tempdir().expect("a temporary folder");
        let path = parent.path().join("data");
        let folder = take(&path).expect("new");
        assert!(folder.is_first_start());
        fs::create_dir(folder.origin()).expect("makes");
        fs::create_dir(folder.edge(1)).expect("makes");
        folder.keep_credentials(&credentials()).expect("writes");
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn a_first_start_that_was_killed_is_begun_anew() {
        let parent = tempfile::tempdir().expect("a temporary folder");
        for (name, text) in [("format", "1\n"), (FIRST_START, "")] {
            fs::write(parent.path().join(name), text).expect("writes");
        }
        fs::create_dir(parent.path().join(ORIGIN)).expect("makes");
        let folder = take(parent.path()).expect("again");
        assert!(folder.is_first_start() && !folder.origin().exists());
    }

    #[test]
    fn a_finished_start_is_kept_and_the_demo_waits_for_its_publication_once() {
        let parent = tempfile::tempdir().expect("a temporary folder");
        let mut folder = take(parent.path()).expect("new");
        fs::create_dir(folder.origin()).expect("makes");
        folder.keep_credentials(&credentials()).expect("writes");
        folder.finish_first_start().expect("finishes");
        drop(folder);
        let mut folder = take(parent.path()).expect("again");
        assert!(!folder.is_first_start() && folder.origin().exists() && folder.demo_is_pending());
        assert_eq!(folder.credentials().expect("kept").account_sid, "AC1");
        folder.demo_is_done().expect("removes");
        folder.finish_first_start().expect("nothing to do");
        assert!(!folder.demo_is_pending());
    }

    #[test]
    fn a_second_process_is_told_a_command_that_works() {
        let parent = tempfile::tempdir().expect("a temporary folder");
        let path = parent.path().join("data");
        let _held = take(&path).expect("new");
        let text = take(&path).expect_err("held").to_string();
        for part in ["in use", "data-2", "--https 127.0.0.1:0", " dev "] {
            assert!(text.contains(part), "{part:?} in {text}");
        }
    }

    #[test]
    fn a_folder_with_other_files_is_left_alone() {
        let parent = tempfile::tempdir().expect("a temporary folder");
        fs::write(parent.path().join("thesis.txt"), "x").expect("writes");
        let text = take(parent.path()).expect_err("foreign").to_string();
        assert!(text.contains("is not empty"), "{text}");
        assert_eq!(fs::read_dir(parent.path()).expect("reads").count(), 1);
    }

    #[test]
    fn a_folder_of_a_newer_version_is_left_alone() {
        let parent = tempfile::tempdir().expect("a temporary folder");
        drop(take(parent.path()).expect("new"));
        fs::write(parent.path().join("format"), "999\n").expect("writes");
        let text = take(parent.path()).expect_err("newer").to_string();
        assert!(text.contains("999") && text.contains("--data"), "{text}");
    }
}
