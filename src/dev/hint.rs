//! What to do when a development server cannot start: a command that works, ready to copy.

use crate::client::DATA_DEFAULT;
use crate::commands::dev::Options;
use crate::environment::program;
use crate::failure::Failure;
use skerry_edge::run::EdgeError;
use skerry_folder::FolderError;
use skerry_origin::OriginError;
use std::path::{Path, PathBuf};

const OTHER_PORTS: &str = "--https 127.0.0.1:0 --api 127.0.0.1:0 --grpc 127.0.0.1:0 --admin 127.0.0.1:0";

/// Commands for each kind of trouble.
#[derive(Debug)]
pub(super) struct Hints {
    data: PathBuf,
    edges: u16,
}

impl Hints {
    pub(super) fn new(options: &Options) -> Self {
        Self { data: options.data.clone(), edges: options.edges }
    }

    /// The ports are taken.
    pub(super) fn other_ports(&self, failure: Failure) -> Failure {
        let data = if self.data == Path::new(DATA_DEFAULT) { None } else { Some(&self.data) };
        failure.hint(format_args!("let free ports be picked: {}", self.command(data, OTHER_PORTS)))
    }

    /// A folder that cannot be used.
    pub(super) fn of_folder(&self, error: &FolderError) -> Failure {
        let failure = Failure::of(error);
        match error {
            // The other folder would be on the same disk.
            FolderError::NoSpace(_) => failure,
            FolderError::Locked(_)
            | FolderError::Foreign(_)
            | FolderError::NotWritable { .. }
            | FolderError::NotClosed { .. }
            | FolderError::Newer { .. }
            | FolderError::Unreadable(_)
            | FolderError::Io { .. } => {
                let command = self.command(Some(&other_folder(&self.data)), "");
                failure.hint(format_args!("use another folder: {command}"))
            }
        }
    }

    /// The folder is used by somebody who has the ports, too.
    pub(super) fn other_folder_and_ports(&self, failure: Failure) -> Failure {
        let command = self.command(Some(&other_folder(&self.data)), OTHER_PORTS);
        failure.hint(format_args!("run another one beside it: {command}"))
    }

    /// An origin that does not open or bind.
    pub(super) fn of_origin(&self, error: &OriginError) -> Failure {
        let failure = Failure::of(error);
        match error {
            OriginError::Listen(_) => self.other_ports(failure),
            OriginError::Folder(error) => self.of_folder(error),
            _ => failure,
        }
    }

    /// An edge that does not bind or start.
    pub(super) fn of_edge(&self, error: &EdgeError) -> Failure {
        let failure = Failure::of(error);
        match error {
            EdgeError::Listen(_) => self.other_ports(failure),
            EdgeError::Folder(error) => self.of_folder(error),
            _ => failure,
        }
    }

    fn command(&self, data: Option<&PathBuf>, more: &str) -> String {
        let mut command = format!("{} dev", program());
        if let Some(data) = data {
            command.push_str(&format!(" --data {}", quoted(data)));
        }
        if self.edges != 1 {
            command.push_str(&format!(" --edges {}", self.edges));
        }
        if !more.is_empty() {
            command.push(' ');
            command.push_str(more);
        }
        command
    }
}

/// A path as a shell takes it.
pub(super) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |char: char| char.is_ascii_alphanumeric() || "/._-+=:@%,".contains(char);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// A folder beside it that is not there yet; where the place itself may be the trouble, one in the temporary folder.
fn other_folder(data: &Path) -> PathBuf {
    let name =
        data.file_name().map_or_else(|| DATA_DEFAULT.into(), |name| name.to_string_lossy().into_owned());
    let parent = data.parent().filter(|parent| parent.is_dir() || parent.as_os_str().is_empty());
    let writable = parent.is_some_and(|parent| {
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        // Permission bits alone do not tell: file system, owner and capabilities count as well.
        let probe = parent.join(format!(".skerry-probe-{}", std::process::id()));
        std::fs::create_dir(&probe).and_then(|()| std::fs::remove_dir(&probe)).is_ok()
    });
    let base = match parent {
        Some(parent) if writable => parent.to_owned(),
        _ => std::env::temp_dir(),
    };
    let candidates = (2..100).map(|number| base.join(format!("{name}-{number}")));
    candidates.into_iter().find(|folder| !folder.exists()).unwrap_or_else(|| base.join(format!("{name}-new")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_for_a_shell_where_they_must() {
        assert_eq!(quoted(Path::new("/tmp/a-1")), "/tmp/a-1");
        assert_eq!(quoted(Path::new("my data")), "'my data'");
        assert_eq!(quoted(Path::new("it's")), r"'it'\''s'");
    }

    #[test]
    fn the_other_folder_is_a_new_one_beside() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = folder.path().join("data");
        assert_eq!(other_folder(&data), folder.path().join("data-2"));
        std::fs::create_dir(folder.path().join("data-2")).expect("makes");
        assert_eq!(other_folder(&data), folder.path().join("data-3"));
    }
}
