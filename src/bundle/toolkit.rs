//! How Twilio's toolkit names private assets: `.private` stands before the extension, `message.private.mp3` for `/message.mp3`.
//!
//! Its rule does not reach every path. It takes the first mark out of a name, turns white space into dashes, refuses some
//! characters, and cannot mark a name without an extension. A path that would not come back as it was has no name here.

/// Bytes in a name of a file at most, on the usual file systems.
const NAME_LEN_MAX: usize = 255;

/// UTF-16 units in a path that the toolkit takes.
const PATH_UNITS_MAX: usize = 255;

/// Where the toolkit expects the private asset at `path`, below its folder of assets.
pub(super) fn file_name(path: &str) -> Option<String> {
    let is_refused = |c: char| {
        matches!(
            c,
            '#' | ';' | ',' | '?' | ':' | '@' | '+' | '&' | '$' | '(' | ')' | '\'' | '"' | '\\' | '\u{feff}'
        ) || c.is_whitespace()
            || c.is_control()
    };
    let below = path.strip_prefix('/')?;
    let start = below.rfind('/').map_or(0, |slash| slash + 1);
    let dot = start + below[start..].rfind('.')?;
    let (stem, extension) = (&below[start..dot], &below[dot..]);
    let comes_back = !path.chars().any(is_refused)
        && !path.contains(".private")
        && !path.contains(".protected")
        && path.encode_utf16().count() <= PATH_UNITS_MAX
        && extension.len() > 1
        && !stem.bytes().all(|byte| byte == b'.');
    let name = format!("{}.private{extension}", &below[..dot]);
    let is_file = name.split('/').all(|segment| (1..=NAME_LEN_MAX).contains(&segment.len()));
    (comes_back && is_file).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_stands_before_the_extension() {
        let cases = [
            ("/message.mp3", "message.private.mp3"),
            ("/a/b.c/d.tar.gz", "a/b.c/d.tar.private.gz"),
            ("/ünï~100%.txt", "ünï~100%.private.txt"),
            ("/.hidden.json", ".hidden.private.json"),
        ];
        for (path, name) in cases {
            assert_eq!(file_name(path).as_deref(), Some(name));
        }
    }

    #[test]
    fn what_the_toolkit_would_read_as_something_else_has_no_name() {
        let long = format!("/{}.mp3", "ü".repeat(125));
        let units = format!("/{0}/{0}/{0}.mp3", "\u{1f3b5}".repeat(45));
        for path in [
            "/plain",
            "/dir.d/plain",
            "/.env",
            "/ends.",
            "/..mp3",
            "/a//b.mp3",
            "/a b.mp3",
            "/a+b.mp3",
            "/a\\b.mp3",
            "/x.private.y.mp3",
            "/x.protected.mp3/y.mp3",
            &long,
            &units,
        ] {
            assert_eq!(file_name(path), None, "{path}");
        }
    }
}
