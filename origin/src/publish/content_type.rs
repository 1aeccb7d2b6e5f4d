//! Which media type an asset is served as: as given, else by the extension of its path, else by its first bytes. Pure.

use skerry_proto::manifest::is_content_type;

/// Bytes that [`choose`] looks at, at most.
pub(super) const LOOK_SIZE: usize = 512;

const FALLBACK: &str = "application/octet-stream";

/// The media type of an asset, or `None` when the given one cannot be sent in a header.
pub(super) fn choose(given: &str, path: &str, first_bytes: &[u8]) -> Option<String> {
    if !given.is_empty() {
        return is_content_type(given).then(|| given.to_owned());
    }
    Some(by_extension(path).unwrap_or_else(|| by_content(first_bytes).to_owned()))
}

fn by_extension(path: &str) -> Option<String> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let (_, extension) = name.rsplit_once('.')?;
    let extension = extension.to_ascii_lowercase();
    // What mime_guess says otherwise, or not at all: RFC 9239 for scripts, RFC 8081 for fonts, and newer formats.
    let own = match extension.as_str() {
        "js" | "mjs" => Some("text/javascript"),
        "woff" => Some("font/woff"),
        "woff2" => Some("font/woff2"),
        "avif" => Some("image/avif"),
        "webmanifest" => Some("application/manifest+json"),
        "ts" => Some("video/mp2t"),
        _ => None,
    };
    let guessed = match own {
        Some(own) => own.to_owned(),
        None => mime_guess::from_ext(&extension).first_raw()?.to_owned(),
    };
    Some(with_charset(guessed))
}

/// Text without a charset would be guessed at by browsers.
fn with_charset(media_type: String) -> String {
    let is_text = media_type.starts_with("text/") && !media_type.contains(';');
    if is_text { format!("{media_type}; charset=utf-8") } else { media_type }
}

fn by_content(bytes: &[u8]) -> &'static str {
    const SIGNATURES: [(usize, &[u8], &str); 17] = [
        (0, b"\x89PNG\r\n\x1a\n", "image/png"),
        (0, b"\xff\xd8\xff", "image/jpeg"),
        (0, b"GIF87a", "image/gif"),
        (0, b"GIF89a", "image/gif"),
        (8, b"WEBP", "image/webp"),
        (8, b"WAVE", "audio/wav"),
        (4, b"ftypavif", "image/avif"),
        (4, b"ftyp", "video/mp4"),
        (0, b"\x1aE\xdf\xa3", "video/webm"),
        (0, b"OggS", "audio/ogg"),
        (0, b"ID3", "audio/mpeg"),
        (0, b"fLaC", "audio/flac"),
        (0, b"%PDF-", "application/pdf"),
        (0, b"PK\x03\x04", "application/zip"),
        (0, b"\x1f\x8b", "application/gzip"),
        (0, b"wOF2", "font/woff2"),
        (0, b"\0asm", "application/wasm"),
    ];
    let known = SIGNATURES
        .iter()
        .find(|(at, signature, _)| bytes.get(*at..).is_some_and(|rest| rest.starts_with(signature)));
    match known {
        Some((_, _, media_type)) => media_type,
        None if is_text(bytes) => "text/plain; charset=utf-8",
        None => FALLBACK,
    }
}

/// Whether the bytes are the beginning of UTF-8 text: no control characters but white space, and at most the last character cut.
fn is_text(bytes: &[u8]) -> bool {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() && bytes.len() >= LOOK_SIZE => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.is_empty() && !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_type_is_kept_and_one_unfit_for_a_header_is_refused() {
        assert_eq!(choose("text/weird", "/a.mp3", b"").as_deref(), Some("text/weird"));
        assert_eq!(choose("text/html\r\nx: y", "/a", b""), None);
        assert_eq!(choose("text/h\u{e9}", "/a", b""), None);
    }

    #[test]
    fn extensions_decide_before_content() {
        let table = [
            ("/hello.mp3", "audio/mpeg"),
            ("/photo.JPG", "image/jpeg"),
            ("/index.html", "text/html; charset=utf-8"),
            ("/style.css", "text/css; charset=utf-8"),
            ("/app.js", "text/javascript; charset=utf-8"),
            ("/logo.svg", "image/svg+xml"),
            ("/data.json", "application/json"),
            ("/a.tar.gz", "application/gzip"),
            ("/a.woff2", "font/woff2"),
            ("/a.txt", "text/plain; charset=utf-8"),
        ];
        for (path, expected) in table {
            assert_eq!(choose("", path, b"\x89PNG\r\n\x1a\n").as_deref(), Some(expected), "{path}");
        }
    }

    #[test]
    fn content_decides_where_no_extension_does() {
        let table: [(&[u8], &str); 8] = [
            (b"\x89PNG\r\n\x1a\nrest", "image/png"),
            (b"RIFF....WEBPVP8 ", "image/webp"),
            (b"....ftypisom", "video/mp4"),
            (b"hello\n", "text/plain; charset=utf-8"),
            ("gr\u{fc}n".as_bytes(), "text/plain; charset=utf-8"),
            (b"", FALLBACK),
            (b"\x00\x01", FALLBACK),
            (b"caf\xe9 ol", FALLBACK),
        ];
        for (bytes, expected) in table {
            for path in ["/file", "/dir.d/file", "/file.unknown-ext"] {
                assert_eq!(choose("", path, bytes).as_deref(), Some(expected), "{bytes:?}");
            }
        }
    }

    #[test]
    fn a_character_cut_by_the_end_of_the_look_is_still_text() {
        let text = "\u{fc}".repeat(300);
        assert_eq!(by_content(&text.as_bytes()[..511]), FALLBACK, "a whole file that ends amid a character");
        let shifted = format!("a{text}");
        assert_eq!(by_content(&shifted.as_bytes()[..LOOK_SIZE]), "text/plain; charset=utf-8");
    }
}
