//! The arrows of the architecture, kept by reading `use` lines and paths: who may know whom.

use crate::harness::{files_below, text};
use std::path::Path;

/// A word that may stand in some files of a crate only.
struct Arrow {
    crate_folder: &'static str,
    word: &'static str,
    /// Prefixes of the files that may; none: nobody may.
    may: &'static [&'static str],
}

const ARROWS: &[Arrow] = &[
    Arrow { crate_folder: "folder", word: "skerry_", may: &[] },
    Arrow { crate_folder: "proto", word: "skerry_origin", may: &[] },
    Arrow { crate_folder: "proto", word: "skerry_edge", may: &[] },
    Arrow { crate_folder: "origin", word: "skerry_edge", may: &[] },
    Arrow { crate_folder: "edge", word: "skerry_origin", may: &[] },
    Arrow { crate_folder: "edge", word: "foyer::", may: &["cache"] },
    Arrow { crate_folder: "edge", word: "h3::", may: &["listen"] },
    Arrow { crate_folder: "edge", word: "quinn::", may: &["listen"] },
    Arrow { crate_folder: "edge", word: "crate::listen", may: &["listen", "run", "lib"] },
    Arrow { crate_folder: "edge", word: "crate::serve", may: &["listen", "serve", "run", "lib", "metrics"] },
    Arrow { crate_folder: "origin", word: "sqlx::", may: &["catalogue"] },
    Arrow { crate_folder: "origin", word: "crate::grpc", may: &["grpc", "run", "lib"] },
    Arrow { crate_folder: "origin", word: "crate::api", may: &["api", "console", "run", "lib"] },
    Arrow { crate_folder: "origin", word: "crate::console", may: &["console", "run", "lib"] },
    Arrow { crate_folder: "origin", word: "axum::", may: &["api", "console"] },
    Arrow { crate_folder: "origin", word: "tonic::", may: &["grpc", "tests"] },
    // Pure: no sockets, no files, no clock.
    Arrow { crate_folder: "proto", word: "tokio::", may: &[] },
    Arrow { crate_folder: "proto", word: "std::fs", may: &[] },
    Arrow { crate_folder: "proto", word: "std::net::Tcp", may: &[] },
];

#[test]
fn arrows_point_one_way() {
    let mut wrong = Vec::new();
    for arrow in ARROWS {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(arrow.crate_folder).join("src");
        for file in files_below(&source) {
            let name = file.strip_prefix(&source).expect("below it").display().to_string();
            let may = arrow.may.iter().any(|prefix| name.starts_with(prefix));
            if !may && names(&shipped(&text(&file)), arrow.word) {
                wrong.push(format!("{}/src/{name} names {}", arrow.crate_folder, arrow.word));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The part of a file before its tests, without comments.
fn shipped(source: &str) -> String {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Whether a word stands there by itself, not as the end of another.
fn names(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|before| before.is_alphanumeric() || before == '_')
    })
}
