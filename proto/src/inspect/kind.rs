//! What the first bytes of a file say it is, and whether its media type agrees.

use super::{Content, read};

/// What bytes begin with: offset, signature, media type.
const SIGNATURES: [(usize, &[u8], &str); 24] = [
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftypmif1", "image/heic"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/flac"),
    (8, b"WAVE", "audio/wav"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"\0asm", "application/wasm"),
    (0, b"\x7fELF", "application/x-executable"),
    (0, b"MZ", "application/vnd.microsoft.portable-executable"),
];

/// The media type that the first bytes show, where they show one.
pub(super) fn of(content: &dyn Content) -> Option<&'static str> {
    let head = read(content, 0, 16);
    let known = SIGNATURES
        .iter()
        .find(|(at, signature, _)| head.get(*at..).is_some_and(|rest| rest.starts_with(signature)));
    known.map(|(_, _, media_type)| *media_type)
}

/// What to say where a media type and the bytes are of different kinds. Formats that hold others, and types that say nothing, agree
/// with everything.
pub(super) fn contradiction(content_type: &str, real: Option<&'static str>) -> Option<String> {
    let said = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let real = real?;
    let is_media = |name: &str| ["image/", "audio/", "video/"].iter().any(|family| name.starts_with(family));
    let is_text = said.starts_with("text/") || said == "application/json" || said == "image/svg+xml";
    let agrees = match real {
        // Sound alone in a film's container, and the other way round.
        "video/mp4" => {
            said.starts_with("video/") || said.starts_with("audio/") || said.starts_with("image/hei")
        }
        "video/webm" => {
            matches!(said.as_str(), "video/webm" | "audio/webm" | "video/x-matroska" | "audio/x-matroska")
        }
        "audio/ogg" => said.ends_with("/ogg") || said.contains("opus"),
        "image/heic" | "image/avif" => said.starts_with("image/hei") || said == "image/avif",
        // Documents and packages of many names are archives inside.
        "application/zip" | "application/gzip" => !(is_media(&said) || is_text),
        "application/x-executable" | "application/vnd.microsoft.portable-executable" => {
            !(is_media(&said) || is_text || said == "application/pdf")
        }
        real if real.starts_with("audio/") => said.starts_with("audio/") && !is_other_sound(&said, real),
        real if is_media(real) => said == real,
        real => !(is_media(&said) || is_text) || said == real,
    };
    let says_nothing = said.is_empty() || said == "application/octet-stream";
    (!agrees && !says_nothing).then(|| format!("the name says {said}, the bytes are {real}"))
}

/// Sounds with a signature of their own.
fn is_other_sound(said: &str, real: &str) -> bool {
    const DISTINCT: [&str; 4] = ["audio/mpeg", "audio/ogg", "audio/flac", "audio/wav"];
    DISTINCT.contains(&said) && said != real
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_that_their_bytes_contradict_are_found() {
        let table = [
            ("image/jpeg", "image/png", true),
            ("image/jpeg", "image/jpeg", false),
            ("text/plain; charset=utf-8", "application/x-executable", true),
            ("image/png", "application/zip", true),
            (
                "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
                "application/zip",
                false,
            ),
            ("audio/mp4", "video/mp4", false),
            ("audio/mpeg", "audio/wav", true),
            ("audio/x-wav", "audio/wav", false),
            ("application/octet-stream", "image/png", false),
            ("text/html; charset=utf-8", "application/pdf", true),
        ];
        for (said, real, is_contradiction) in table {
            assert_eq!(contradiction(said, Some(real)).is_some(), is_contradiction, "{said} {real}");
        }
        assert_eq!(contradiction("image/png", None), None);
    }
}
