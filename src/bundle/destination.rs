//! The destination of a bundle: a folder that is missing, empty, or holds a bundle and nothing else.

use super::{ASSETS_FOLDER, CONTENTS_NAME, FILES_FOLDER, ROUTES_FILE, UnpackError, toolkit};
use crate::client::read_json;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use serde::Deserialize;
use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A folder that may become that of a bundle.
#[derive(Debug)]
pub(crate) struct Destination {
    folder: PathBuf,
    /// The service of the bundle that is there.
    service: Option<String>,
}

/// What is read back of `routes.json`.
#[derive(Debug, Deserialize)]
struct Routes {
    service_sid: String,
    assets: Vec<Route>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Route {
    path: String,
    file_path: PathBuf,
}

impl Destination {
    /// Looks at a folder before anything is fetched.
    ///
    /// # Errors
    /// [`UnpackError::NoFolder`], [`UnpackError::Foreign`], [`UnpackError::Io`].
    pub(crate) fn at(folder: &Path) -> Result<Self, UnpackError> {
        if folder.file_name().is_none() {
            return Err(UnpackError::NoFolder(folder.to_owned()));
        }
        match fs::symlink_metadata(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(UnpackError::Io { folder: folder.to_owned(), source }),
            // A link to a folder would be replaced, not followed.
            Ok(found) if !found.is_dir() => return Err(UnpackError::NoFolder(folder.to_owned())),
            Ok(_) => return Ok(Self { folder: folder.to_owned(), service: bundle_alone(folder)? }),
        }
        Ok(Self { folder: folder.to_owned(), service: None })
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Refuses to replace a bundle of one service by that of another.
    pub(super) fn check_service(&self, new: &str) -> Result<(), UnpackError> {
        match &self.service {
            Some(service) if service != new => Err(UnpackError::OtherService {
                folder: self.folder.clone(),
                service: service.clone(),
                new: new.to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// Gives a folder the permissions of the one that it is going to replace.
    pub(super) fn share_permissions(&self, new: &Path) -> io::Result<()> {
        match fs::metadata(&self.folder) {
            Ok(old) => fs::set_permissions(new, old.permissions()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Puts a complete folder here, in one step. What was here is then where the new one was.
    pub(super) fn take(&self, new: &Path) -> Result<(), UnpackError> {
        let io = |source| UnpackError::Io { folder: self.folder.clone(), source };
        match fs::rename(new, &self.folder) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                // Looked at again: the download took its time.
                bundle_alone(&self.folder)?;
                exchange(new, &self.folder).map_err(io)?;
            }
            renamed => renamed.map_err(io)?,
        }
        let parent = self.folder.parent().filter(|parent| !parent.as_os_str().is_empty());
        fs::File::open(parent.unwrap_or(Path::new("."))).and_then(|parent| parent.sync_all()).map_err(io)
    }
}

/// Swaps two folders.
fn exchange(new: &Path, old: &Path) -> io::Result<()> {
    match renameat2(AT_FDCWD, new, AT_FDCWD, old, RenameFlags::RENAME_EXCHANGE) {
        // A file system without this operation, such as NFS: then there is a moment with neither.
        Err(Errno::EINVAL | Errno::ENOSYS) => {
            let aside = new.with_added_extension("old");
            fs::rename(old, &aside)?;
            fs::rename(new, old).inspect_err(|_| drop(fs::rename(&aside, old)))?;
            fs::rename(&aside, new)
        }
        exchanged => exchanged.map_err(io::Error::from),
    }
}

/// The service of the bundle that a folder holds, if it is not empty.
fn bundle_alone(folder: &Path) -> Result<Option<String>, UnpackError> {
    let io = |source| UnpackError::Io { folder: folder.to_owned(), source };
    let mut found = Vec::new();
    walk(folder, Path::new(""), &mut found).map_err(io)?;
    if found.is_empty() {
        return Ok(None);
    }
    let routes: Option<Routes> = read_json(&folder.join(ROUTES_FILE)).ok().flatten();
    let known = routes.as_ref().map(known).unwrap_or_default();
    match found.into_iter().find(|path| !known.contains(path)) {
        Some(found) => Err(UnpackError::Foreign { folder: folder.to_owned(), found }),
        None => Ok(routes.map(|routes| routes.service_sid)),
    }
}

/// Everything that the bundle of these routes brought.
fn known(routes: &Routes) -> HashSet<PathBuf> {
    let mut known: HashSet<PathBuf> =
        [CONTENTS_NAME, ROUTES_FILE, FILES_FOLDER, ASSETS_FOLDER].map(PathBuf::from).into();
    for route in &routes.assets {
        known.insert(route.file_path.clone());
        if let Some(name) = toolkit::file_name(&route.path) {
            known.extend(Path::new(ASSETS_FOLDER).join(name).ancestors().map(Path::to_owned));
        }
    }
    known
}

/// Everything below a folder, by its path from there.
fn walk(root: &Path, below: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(below))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            walk(root, &path, found)?;
        }
        found.push(path);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holding(name: &str, content: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join(name), content).expect("writes");
        folder
    }

    #[test]
    fn a_folder_that_is_missing_or_empty_is_taken() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for destination in [folder.path().to_owned(), folder.path().join("missing")] {
            assert!(Destination::at(&destination).expect("free").service.is_none());
        }
    }

    #[test]
    fn a_folder_with_anything_else_in_it_is_not() {
        let file = holding("package.json", "{}");
        assert!(matches!(Destination::at(file.path()), Err(UnpackError::Foreign { .. })));
        let routes = r#"{"service_sid":"ZS1","assets":[{"path":"/a.mp3","filePath":"files/ZN1"}]}"#;
        let bundle = holding(ROUTES_FILE, routes);
        fs::create_dir(bundle.path().join(FILES_FOLDER)).expect("makes");
        fs::write(bundle.path().join("files/ZN1"), "sound").expect("writes");
        assert_eq!(Destination::at(bundle.path()).expect("a bundle").service.as_deref(), Some("ZS1"));
        fs::write(bundle.path().join("files/mine"), "mine").expect("writes");
        let refused = Destination::at(bundle.path()).expect_err("something else");
        assert!(refused.to_string().contains("files/mine"), "{refused}");
    }

    #[test]
    fn a_file_a_link_and_a_name_without_an_end_are_no_folders() {
        let folder = holding("file", "");
        std::os::unix::fs::symlink(folder.path(), folder.path().join("link")).expect("links");
        for destination in
            [folder.path().join("file"), folder.path().join("link"), PathBuf::from("."), PathBuf::from("..")]
        {
            assert!(
                matches!(Destination::at(&destination), Err(UnpackError::NoFolder(_))),
                "{}",
                destination.display()
            );
        }
    }
}
