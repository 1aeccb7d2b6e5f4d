//! Has the client got the current representation already? (RFC 9110 §13)

use http::header::{HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH};
use std::time::UNIX_EPOCH;

/// Whether GET or HEAD is to be answered with 304, in the order of RFC 9110 §13.2.2: `If-None-Match` decides alone where it is there.
pub(super) fn is_current(headers: &HeaderMap, etag: &HeaderValue, modified: i64) -> bool {
    if headers.contains_key(IF_NONE_MATCH) {
        return headers.get_all(IF_NONE_MATCH).iter().any(|list| lists(list.as_bytes(), etag.as_bytes()));
    }
    let mut dates = headers.get_all(IF_MODIFIED_SINCE).iter();
    match (dates.next(), dates.next()) {
        // RFC 9110 §13.1.3: a value that is no date is ignored.
        (Some(date), None) => seconds(date).is_some_and(|since| modified <= since),
        _ => false,
    }
}

/// Seconds of an HTTP date (RFC 9110 §5.6.7).
pub(super) fn seconds(date: &HeaderValue) -> Option<i64> {
    let time = httpdate::parse_http_date(date.to_str().ok()?).ok()?;
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
}

/// Whether a list of entity tags names `etag`, by weak comparison (RFC 9110 §8.8.3.2), or is `*`.
fn lists(mut list: &[u8], etag: &[u8]) -> bool {
    loop {
        list = list.trim_ascii_start();
        list = match list {
            [] => return false,
            [b',', rest @ ..] => rest,
            [b'*', rest @ ..] => return rest.trim_ascii().is_empty(),
            [b'W', b'/', rest @ ..] => rest,
            [b'"', rest @ ..] => {
                let Some(end) = rest.iter().position(|byte| *byte == b'"') else { return false };
                if list.get(..end + 2) == Some(etag) {
                    return true;
                }
                rest.get(end + 1..).unwrap_or_default()
            }
            // Not an entity tag: nothing after it can be told apart.
            _ => return false,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn current(fields: &[(&'static str, &'static str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        // Sun, 06 Nov 1994 08:49:37 GMT
        is_current(&headers, &HeaderValue::from_static("\"abc\""), 784_111_777)
    }

    #[test]
    fn if_none_match_compares_weakly_over_lists_and_lines() {
        // RFC 9110 §13.1.2
        for value in [
            "\"abc\"",
            "W/\"abc\"",
            "\"x\", \"abc\"",
            "\"x\",W/\"abc\"",
            "*",
            " * ",
            ",, \"abc\"",
            "\"a,b\", \"abc\"",
        ] {
            assert!(current(&[("if-none-match", value)]), "{value}");
        }
        assert!(current(&[("if-none-match", "\"x\""), ("if-none-match", "\"abc\"")]));
        for value in ["", "\"x\"", "abc", "\"ab\"", "\"abc", "\"x\" y \"abc\"", "*x", "w/\"abc\""] {
            assert!(!current(&[("if-none-match", value)]), "{value}");
        }
    }

    #[test]
    fn if_modified_since_counts_only_without_if_none_match() {
        // RFC 9110 §13.1.3
        let same = ("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert!(current(&[same]));
        assert!(current(&[("if-modified-since", "Sunday, 06-Nov-94 08:49:38 GMT")]));
        assert!(!current(&[("if-modified-since", "Sun, 06 Nov 1994 08:49:36 GMT")]));
        assert!(!current(&[same, ("if-none-match", "\"x\"")]));
    }

    #[test]
    fn dates_that_are_none_are_ignored() {
        assert!(!current(&[("if-modified-since", "yesterday")]));
        assert!(!current(&[]));
    }
}
