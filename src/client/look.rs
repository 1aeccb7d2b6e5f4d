//! What somebody should know of files before they are published, by the rules of `skerry_proto::inspect`: as the console warns of it.

use super::contents::{Content, PlannedFile};
use skerry_origin::{LOOK_SIZE, choose_content_type};
use skerry_proto::inspect::{self, Finding, Kind, Unreadable};
use skerry_proto::visibility::Visibility;
use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// A file, and what was found in it.
#[derive(Debug, Clone)]
pub(crate) struct Warning {
    pub(crate) path: String,
    pub(crate) finding: Finding,
}

impl Warning {
    /// For `--json`.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "path": self.path,
            "kind": self.finding.kind.as_str(),
            "detail": self.finding.detail,
        })
    }
}

/// A file on the disk.
struct OnDisk {
    file: File,
    size: u64,
}

impl inspect::Content for OnDisk {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        self.file.read_exact_at(into, offset).map_err(|_| Unreadable)
    }
}

/// Looks at every file that will be served, and at names beside each other and beside `live` ones. Blocks. A file that cannot be read
/// is passed over: sending it will say why.
pub(crate) fn look(files: &[PlannedFile], live: &[String]) -> Vec<Warning> {
    let mut names: HashMap<String, Vec<&str>> = HashMap::new();
    for path in live.iter().map(String::as_str).chain(files.iter().map(|file| file.path.as_str())) {
        names.entry(inspect::plain(path)).or_default().push(path);
    }
    let mut warnings = Vec::new();
    for file in files.iter().filter(|file| file.visibility != Visibility::Private) {
        let path = file.path.as_str();
        let mut found = found(file);
        let others = names.get(&inspect::plain(path)).into_iter().flatten();
        if let Some(other) = others.into_iter().find(|other| inspect::confusable(path, other)) {
            found.push(Finding { kind: Kind::Name, detail: format!("beside {other}") });
        }
        found.retain(|finding| file.visibility == Visibility::Public || !finding.kind.only_public());
        warnings.extend(found.into_iter().map(|finding| Warning { path: path.to_owned(), finding }));
    }
    warnings
}

fn found(file: &PlannedFile) -> Vec<Finding> {
    let inspect = |content: &dyn inspect::Content| {
        let mut head = vec![0; content.size().min(LOOK_SIZE as u64) as usize];
        if content.read_at(0, &mut head).is_err() {
            return Vec::new();
        }
        let path = file.path.as_str();
        let content_type = choose_content_type(&file.content_type, path, &head).unwrap_or_default();
        inspect::inspect(path, &content_type, content)
    };
    match &file.content {
        Content::Bytes(bytes) => inspect(&&bytes[..]),
        Content::File(path) => match File::open(path) {
            Ok(opened) => inspect(&OnDisk { file: opened, size: file.size }),
            Err(_) => Vec::new(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn planned(path: &str, visibility: Visibility, bytes: &'static [u8]) -> PlannedFile {
        PlannedFile {
            path: path.parse().expect("valid"),
            visibility,
            content_type: String::new(),
            size: bytes.len() as u64,
            content: Content::Bytes(Bytes::from_static(bytes)),
        }
    }

    #[test]
    fn scripts_types_and_names_are_told_of_what_is_served() {
        let files = [
            planned("/a.svg", Visibility::Public, b"<svg onload='x'/>"),
            planned("/b.jpg", Visibility::Public, b"\x89PNG\r\n\x1a\n"),
            planned("/Logo.txt", Visibility::Protected, b"x"),
            planned("/c.svg", Visibility::Private, b"<svg onload='x'/>"),
        ];
        let warnings = look(&files, &["/logo.txt".to_owned()]);
        let told: Vec<_> = warnings.iter().map(|one| (one.path.as_str(), one.finding.kind)).collect();
        assert_eq!(told, [("/a.svg", Kind::Script), ("/b.jpg", Kind::Type), ("/Logo.txt", Kind::Name)]);
    }
}
