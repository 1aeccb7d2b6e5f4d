//! A bundle in a folder: unpacked beside it, verified to the last byte, and then put in its place in one step.
//!
//! ```text
//! DIR/files/ZN…                   every private asset, named by its version, as where Twilio runs functions
//! DIR/assets/message.private.mp3  the same file, named as Twilio's toolkit names the private asset /message.mp3
//! DIR/routes.json                 the same as `routes` for the server of @twilio/runtime-handler
//! DIR/bundle.contents             the signed contents, as they came
//! ```
//!
//! No path of an asset names a file below `files`, so any path may stand in a bundle; below `assets` stand those that the toolkit
//! reads back as they are. A folder is only replaced when nothing but a bundle is in it. Everything here blocks.

mod destination;
mod toolkit;

pub(crate) use destination::Destination;

use serde_json::json;
use skerry_proto::bundle::archive::{self, CONTENTS_NAME, FILES_FOLDER, ReadError, Reader};
use skerry_proto::bundle::{Contents, File};
use skerry_proto::signature::KeySet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Folder of the files under the toolkit's names.
const ASSETS_FOLDER: &str = "assets";

/// File of the routes.
const ROUTES_FILE: &str = "routes.json";

/// Why a bundle was not unpacked. Nothing is left of it then.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnpackError {
    /// Its bytes are not accepted.
    #[error("what the origin sent is refused: {0}")]
    Refused(#[from] ReadError),
    /// It is of another build than the one that was asked for.
    #[error("what the origin sent is refused: it is the bundle of {actual}, not of {expected}")]
    OtherBuild {
        /// Asked for.
        expected: String,
        /// What came.
        actual: String,
    },
    /// The folder has a bundle of another service.
    #[error("{} holds a bundle of the service {service}, this one is of {new}; name another folder", .folder.display())]
    OtherService {
        /// The folder.
        folder: PathBuf,
        /// Whose bundle it holds.
        service: String,
        /// Whose bundle this is.
        new: String,
    },
    /// The folder has what no bundle brought.
    #[error("{} holds {}, which is no part of a bundle; name another folder, or move it away", .folder.display(), .found.display())]
    Foreign {
        /// The folder.
        folder: PathBuf,
        /// What is in it.
        found: PathBuf,
    },
    /// The name is not that of a folder.
    #[error("{}: name a folder that a bundle may be alone in; it is made where it is missing", .0.display())]
    NoFolder(PathBuf),
    /// The system refuses.
    #[error("cannot write {}: {source}", .folder.display())]
    Io {
        /// Where.
        folder: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// A verified bundle, complete and durable, not yet in its place. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct Unpacked {
    contents: Contents,
    temporary: Temporary,
    destination: Destination,
}

/// A folder that goes unless it was renamed.
#[derive(Debug)]
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Unpacked {
    /// Reads, verifies and writes a bundle of `build` beside where it is to be.
    pub(crate) fn from(
        source: impl Read,
        keys: &KeySet,
        build: &str,
        destination: Destination,
    ) -> Result<Self, UnpackError> {
        let reader = Reader::open(source, keys)?;
        let contents = reader.contents();
        if contents.build_sid != build {
            let actual = contents.build_sid.clone();
            return Err(UnpackError::OtherBuild { expected: build.to_owned(), actual });
        }
        destination.check_service(&contents.service_sid)?;
        let io = |source| UnpackError::Io { folder: destination.folder().to_owned(), source };
        let temporary = Temporary(skerry_folder::beside(destination.folder()));
        let folder = &temporary.0;
        // What a process of the same number left when it was killed.
        let _ = fs::remove_dir_all(folder);
        fs::create_dir(folder).map_err(io)?;
        destination.share_permissions(folder).map_err(io)?;
        fs::create_dir(folder.join(FILES_FOLDER)).map_err(io)?;
        let signed = reader.signed().clone();
        let unpacked = reader.unpack(|file| fs::File::create_new(folder.join(archive::name(file))));
        let contents = unpacked.map_err(|error| match error {
            ReadError::Write { source, .. } => io(source),
            refused => UnpackError::Refused(refused),
        })?;
        name_as_toolkit(folder, &contents).map_err(io)?;
        fs::write(folder.join(CONTENTS_NAME), &signed).map_err(io)?;
        fs::write(folder.join(ROUTES_FILE), format!("{:#}\n", routes(&contents))).map_err(io)?;
        sync(folder).map_err(io)?;
        Ok(Self { contents, temporary, destination })
    }

    /// Puts it in its place, in one step, and gives its contents.
    pub(crate) fn install(self) -> Result<Contents, UnpackError> {
        self.destination.take(&self.temporary.0)?;
        Ok(self.contents)
    }
}

/// Where a file is in an unpacked bundle, by the name that the toolkit knows it by, where there is one.
pub(crate) fn toolkit_name(file: &File) -> Option<PathBuf> {
    toolkit::file_name(file.path.as_str()).map(|name| Path::new(ASSETS_FOLDER).join(name))
}

fn name_as_toolkit(folder: &Path, contents: &Contents) -> io::Result<()> {
    fs::create_dir(folder.join(ASSETS_FOLDER))?;
    for file in &contents.files {
        let Some(name) = toolkit_name(file) else { continue };
        let (from, to) = (folder.join(archive::name(file)), folder.join(name));
        fs::create_dir_all(to.parent().unwrap_or(folder))?;
        match fs::hard_link(&from, &to) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                // Not every file system has links.
                io::copy(&mut fs::File::open(&from)?, &mut fs::File::create_new(&to)?)?;
            }
            linked => linked?,
        }
    }
    Ok(())
}

/// What `LocalDevelopmentServer` of @twilio/runtime-handler takes as `routes`, with paths below the folder, and where it is from.
fn routes(contents: &Contents) -> serde_json::Value {
    let asset = |file: &File| {
        let (path, file_path) = (file.path.as_str(), archive::name(file));
        json!({ "name": path, "path": path, "access": "private", "filePath": file_path })
    };
    json!({
        "account_sid": contents.account_sid,
        "service_sid": contents.service_sid,
        "build_sid": contents.build_sid,
        "functions": [],
        "assets": contents.files.iter().map(asset).collect::<Vec<_>>(),
    })
}

/// Makes a folder durable with all that is in it.
fn sync(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => sync(&entry.path())?,
            false => fs::File::open(entry.path())?.sync_all()?,
        }
    }
    fs::File::open(folder)?.sync_all()
}
