//! Names that people take for others: by case alone, or by characters that nobody sees.

use super::{Findings, Kind};

/// What a name itself shows: characters without a shape, and those that turn the direction of text.
pub(super) fn look(path: &str, found: &mut Findings) {
    if let Some(character) = path.chars().find(|character| is_unseen(*character)) {
        found.add(Kind::Name, &format!("it has the invisible character U+{:04X}", u32::from(character)));
    }
    if path.split('/').any(|segment| segment.ends_with([' ', '.']) || segment.starts_with(' '))
        && path.len() > 1
    {
        found.add(Kind::Name, "a part of it begins with a space, or ends with a space or a dot");
    }
}

/// Whether two different paths are easily taken for each other: by case alone, by unseen characters, or since one is the page of the
/// folder that the other names.
pub fn confusable(one: &str, other: &str) -> bool {
    one != other && plain(one) == plain(other)
}

/// What people see of a path: two that have it in common are easily taken for each other.
pub fn plain(path: &str) -> String {
    let seen: String =
        path.chars().filter(|character| !is_unseen(*character)).flat_map(char::to_lowercase).collect();
    for end in ["/index.html", "/index.htm", ".html", ".htm"] {
        if let Some(rest) = seen.strip_suffix(end) {
            return rest.to_owned();
        }
    }
    seen
}

/// Unicode's bidirectional controls (UAX #9 §2) and zero-width characters, but not the joiners that emoji and scripts are made with
/// where they stand between two letters.
const fn is_unseen(character: char) -> bool {
    matches!(
        character,
        '\u{00ad}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{061c}'
    ) || character.is_ascii_control()
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::super::tests::found;
    use super::confusable;

    #[test]
    fn names_that_are_taken_for_others_are_told() {
        assert!(confusable("/Logo.png", "/logo.png"));
        assert!(confusable("/a\u{202e}b.png", "/ab.png"));
        assert!(confusable("/docs/index.html", "/docs.html"));
        assert!(!confusable("/a.png", "/a.png"));
        assert!(!confusable("/a.png", "/b.png"));
    }

    #[test]
    fn characters_that_nobody_sees_are_found_and_emoji_are_not() {
        let turned = found("/photo_\u{202e}gpj.exe", "", b"");
        assert_eq!(turned, [(Kind::Name, "it has the invisible character U+202E".to_owned())]);
        assert_eq!(found("/👩‍👩‍👧 émoji.txt", "text/plain", b"x"), []);
    }
}
