//! Scripts in what browsers open as a page: HTML, SVG, XML.

use super::{Content, Findings, Kind, read};
use regex::bytes::Regex;
use std::sync::OnceLock;

/// Bytes that are looked at, from the start and to the end each.
const LOOK_SIZE: usize = 4 << 20;

pub(super) fn look(path: &str, content_type: &str, content: &dyn Content, found: &mut Findings) {
    let said = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let opens_as_page = matches!(said.as_str(), "text/html" | "application/xhtml+xml" | "image/svg+xml")
        || said.ends_with("/xml")
        || (said.is_empty() && [".html", ".htm", ".svg", ".xhtml"].iter().any(|end| path.ends_with(end)));
    if !opens_as_page {
        return;
    }
    let mut bytes = read(content, 0, LOOK_SIZE);
    if content.size() > LOOK_SIZE as u64 {
        let at = content.size().saturating_sub(LOOK_SIZE as u64).max(LOOK_SIZE as u64);
        bytes.extend(read(content, at, LOOK_SIZE));
    }
    let Some(script) = pattern().and_then(|pattern| pattern.find(&bytes)) else { return };
    found.add(Kind::Script, &String::from_utf8_lossy(script.as_bytes()));
}

/// An element that runs, an attribute that does, or an address that is a script.
fn pattern() -> Option<&'static Regex> {
    // Compiled once in a process, not for each of thousands of files.
    static PATTERN: OnceLock<Option<Regex>> = OnceLock::new();
    let made = PATTERN.get_or_init(|| {
        Regex::new(r#"(?is-u)<(?:[a-z0-9]+:)?script[\s>/]|<(?:foreignObject|iframe|object|embed)[\s>]|<[a-z][^<>]{0,2000}?[\s/"']on[a-z]{3,30}\s*=|(?:href|src|action|data)\s*=\s*["']?\s*(?:javascript:|data:text/html)"#).ok()
    });
    made.as_ref()
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::super::tests::found;

    #[test]
    fn scripts_in_pages_are_found_however_they_come() {
        for text in [
            "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
            "<svg onload=alert(1)>",
            "<svg><a xlink:href=\"javascript:alert(1)\">x</a></svg>",
            "<svg:svg><svg:script href='x'/></svg:svg>",
            "<svg/onload=alert(1)>",
            "<SVG ONLOAD = 'x'>",
        ] {
            let found = found("/a.svg", "image/svg+xml", text.as_bytes());
            assert_eq!(found.first().map(|found| found.0), Some(Kind::Script), "{text}");
        }
        assert_eq!(found("/a.html", "text/html; charset=utf-8", b"<body onload=x>")[0].0, Kind::Script);
    }

    #[test]
    fn pages_without_scripts_and_scripts_that_are_no_pages_are_left_alone() {
        assert_eq!(found("/a.svg", "image/svg+xml", b"<svg><path d='M0 0' fill='on'/></svg>"), []);
        assert_eq!(found("/a.html", "text/html", b"<p>one = two, <b>description</b></p>"), []);
        assert_eq!(found("/a.js", "text/javascript", b"document.write('<script>')"), []);
    }
}
