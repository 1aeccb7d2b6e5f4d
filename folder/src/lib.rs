//! What every process of Skerry does with its disk, in one place: the folder that it has to itself, and files that must be whole.
//!
//! It knows nothing of roles, and no role needs another way to do the same. Everything here blocks: call it off the async workers.

mod data;
mod file;

pub use data::{DataFolder, FolderError};
pub use file::{Readers, beside, remove, sync_folder, write};
