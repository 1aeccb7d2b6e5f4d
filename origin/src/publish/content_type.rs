//! Which media type an asset is served as: as given, else by the extension of its path, else by its first bytes. Pure.

use skerry_proto::manifest::is_content_type;

/// Bytes that [`choose`] looks at, at most.
pub const LOOK_SIZE: usize = 512;

const FALLBACK: &str = "application/octet-stream";

/// The media type of an asset, or `None` when the given one cannot be sent in a header.
pub fn choose(given: &str, path: &str, first_bytes: &[u8]) -> Option<String> {
    if !given.is_empty() {
        return is_content_type(given).then(|| given.to_owned());
    }
    Some(by_extension(path).unwrap_or_else(|| by_content(first_bytes).to_owned()))
}

/// Whether [`choose`] looks at the first bytes.
pub(super) fn needs_bytes(given: &str, path: &str) -> bool {
    given.is_empty() && by_extension(path).is_none()
}

fn by_extension(path: &str) -> Option<String> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let (_, extension) = name.rsplit_once('.')?;
    let extension = extension.to_ascii_lowercase();
    // What mime_guess says otherwise, or not at all: RFC 9239 for scripts, RFC 8081 for fonts, RFC 6350 for vCards, RFC 4337 for
    // MPEG-4 audio, RFC 4867 for AMR, RFC 8216 for playlists, RFC 9512 for YAML, newer formats, and what telephones play.
    let own = match extension.as_str() {
        "js" | "mjs" => Some("text/javascript"),
        "woff" => Some("font/woff"),
        "woff2" => Some("font/woff2"),
        "otf" => Some("font/otf"),
        "avif" => Some("image/avif"),
        "webmanifest" => Some("application/manifest+json"),
        "map" => Some("application/json"),
        "ndjson" => Some("application/x-ndjson"),
        "yaml" | "yml" => Some("application/yaml"),
        "toml" => Some("application/toml"),
        "ts" => Some("video/mp2t"),
        "m3u8" => Some("application/vnd.apple.mpegurl"),
        "m4a" => Some("audio/mp4"),
        "amr" => Some("audio/amr"),
        "ulaw" | "ul" => Some("audio/ulaw"),
        "vcf" => Some("text/vcard"),
        "twiml" => Some("text/xml"),
        _ => None,
    };
    let guessed = match own {
        Some(own) => own.to_owned(),
        None => mime_guess::from_ext(&extension).first_raw()?.to_owned(),
    };
    Some(with_charset(guessed))
}

/// Text without a charset would be guessed at by browsers. XML says its own, which a parameter would overrule (RFC 7303 §3.2).
fn with_charset(media_type: String) -> String {
    let is_text = media_type.starts_with("text/") && !media_type.contains(';') && media_type != "text/xml";
    if is_text { format!("{media_type}; charset=utf-8") } else { media_type }
}

fn by_content(bytes: &[u8]) -> &'static str {
    const SIGNATURES: [(usize, &[u8], &str); 28] = [
        (0, b"\x89PNG\r\n\x1a\n", "image/png"),
        (0, b"\xff\xd8\xff", "image/jpeg"),
        (0, b"GIF87a", "image/gif"),
        (0, b"GIF89a", "image/gif"),
        (8, b"WEBP", "image/webp"),
        (8, b"WAVE", "audio/wav"),
        (8, b"AIFF", "audio/aiff"),
        (8, b"AIFC", "audio/aiff"),
        (0, b".snd", "audio/basic"),
        (0, b"#!AMR", "audio/amr"),
        (4, b"ftypavif", "image/avif"),
        (4, b"ftyp3gp", "video/3gpp"),
        (4, b"ftypM4A", "audio/mp4"),
        (4, b"ftypqt", "video/quicktime"),
        (4, b"ftyp", "video/mp4"),
        (0, b"\x1aE\xdf\xa3", "video/webm"),
        (0, b"OggS", "audio/ogg"),
        (0, b"ID3", "audio/mpeg"),
        // Frames of MPEG layer III without tags (ISO/IEC 11172-3 §2.4.1.3).
        (0, b"\xff\xfb", "audio/mpeg"),
        (0, b"\xff\xf3", "audio/mpeg"),
        (0, b"\xff\xf2", "audio/mpeg"),
        (0, b"fLaC", "audio/flac"),
        (0, b"%PDF-", "application/pdf"),
        (0, b"BEGIN:VCARD", "text/vcard; charset=utf-8"),
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
            ("/a.md", "text/markdown; charset=utf-8"),
            ("/a.css.map", "application/json"),
            ("/a.otf", "font/otf"),
            ("/a.ttf", "font/ttf"),
            ("/a.m3u8", "application/vnd.apple.mpegurl"),
        ];
        for (path, expected) in table {
            assert_eq!(choose("", path, b"\x89PNG\r\n\x1a\n").as_deref(), Some(expected), "{path}");
        }
    }

    #[test]
    fn what_telephones_play_and_messages_carry_has_the_type_that_is_expected_there() {
        let table = [
            ("/a.mp3", "audio/mpeg"),
            ("/a.wav", "audio/wav"),
            ("/a.wave", "audio/wav"),
            ("/a.aif", "audio/aiff"),
            ("/a.aiff", "audio/aiff"),
            ("/a.gsm", "audio/x-gsm"),
            ("/a.ulaw", "audio/ulaw"),
            ("/a.ul", "audio/ulaw"),
            ("/a.au", "audio/basic"),
            ("/a.snd", "audio/basic"),
            ("/a.amr", "audio/amr"),
            ("/a.ogg", "audio/ogg"),
            ("/a.m4a", "audio/mp4"),
            ("/a.jpg", "image/jpeg"),
            ("/a.jpeg", "image/jpeg"),
            ("/a.png", "image/png"),
            ("/a.gif", "image/gif"),
            ("/a.webp", "image/webp"),
            ("/a.mp4", "video/mp4"),
            ("/a.3gp", "video/3gpp"),
            ("/a.mov", "video/quicktime"),
            ("/a.webm", "video/webm"),
            ("/a.pdf", "application/pdf"),
            ("/a.vcf", "text/vcard; charset=utf-8"),
            ("/a.vcard", "text/vcard; charset=utf-8"),
            ("/a.ics", "text/calendar; charset=utf-8"),
            ("/a.csv", "text/csv; charset=utf-8"),
            ("/twiml.xml", "text/xml"),
            ("/a.twiml", "text/xml"),
        ];
        for (path, expected) in table {
            assert_eq!(choose("", path, b"").as_deref(), Some(expected), "{path}");
        }
    }

    #[test]
    fn content_decides_where_no_extension_does() {
        let table: [(&[u8], &str); 14] = [
            (b"\x89PNG\r\n\x1a\nrest", "image/png"),
            (b"RIFF....WEBPVP8 ", "image/webp"),
            (b"....ftypisom", "video/mp4"),
            (b"....ftyp3gp5", "video/3gpp"),
            (b"RIFF....WAVEfmt ", "audio/wav"),
            (b"FORM....AIFFCOMM", "audio/aiff"),
            (b"#!AMR\n", "audio/amr"),
            (b"\xff\xfb\x90\x64", "audio/mpeg"),
            (b"BEGIN:VCARD\r\n", "text/vcard; charset=utf-8"),
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
