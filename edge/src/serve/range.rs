//! Which part of the representation is wanted? (RFC 9110 §14)

use super::conditional;
use http::header::{HeaderMap, HeaderValue, IF_RANGE, RANGE};

/// What of a representation goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Selection {
    /// All of it: 200.
    Whole,
    /// The bytes from `start` to before `end`, at least one: 206.
    Part { start: u64, end: u64 },
    /// None of it can be had: 416.
    Unsatisfiable,
    /// The client has it: 304.
    NotModified,
}

/// Decides about `Range` and `If-Range` for a representation of `size` bytes.
///
/// A field that is no single range of bytes is ignored (RFC 9110 §14.2 allows it), so the whole goes out.
pub(super) fn select(headers: &HeaderMap, etag: &HeaderValue, modified: i64, size: u64) -> Selection {
    let mut fields = headers.get_all(RANGE).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else { return Selection::Whole };
    let Some(wanted) = field.to_str().ok().and_then(parse) else { return Selection::Whole };
    if headers.get(IF_RANGE).is_some_and(|condition| !still_same(condition, etag, modified)) {
        return Selection::Whole;
    }
    wanted.within(size)
}

/// RFC 9110 §13.1.5: a strong entity tag that is equal, or a date that is exactly the one of the representation.
fn still_same(condition: &HeaderValue, etag: &HeaderValue, modified: i64) -> bool {
    condition == etag || conditional::seconds(condition).is_some_and(|date| date == modified)
}

/// One range as it was asked for (RFC 9110 §14.1.1). Numbers beyond 64 bits are past every end, and so clamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    From { first: u64, last: Option<u64> },
    Suffix { length: u64 },
}

impl Wanted {
    fn within(self, size: u64) -> Selection {
        match self {
            Self::From { first, .. } if first >= size => Selection::Unsatisfiable,
            Self::From { first, last } => {
                let end = last.map_or(size, |last| last.saturating_add(1).min(size));
                Selection::Part { start: first, end }
            }
            Self::Suffix { length: 0 } => Selection::Unsatisfiable,
            // RFC 9110 §14.1.2: a suffix of an empty representation cannot be had.
            Self::Suffix { .. } if size == 0 => Selection::Unsatisfiable,
            Self::Suffix { length } => Selection::Part { start: size - length.min(size), end: size },
        }
    }
}

fn parse(field: &str) -> Option<Wanted> {
    let (unit, range) = field.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    match (first, last) {
        ("", length) => Some(Wanted::Suffix { length: number(length)? }),
        (first, "") => Some(Wanted::From { first: number(first)?, last: None }),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Wanted::From { first, last: Some(last) })
        }
    }
}

fn number(digits: &str) -> Option<u64> {
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(range: &'static str, if_range: Option<&'static str>, size: u64) -> Selection {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, HeaderValue::from_static(range));
        if let Some(condition) = if_range {
            headers.insert(IF_RANGE, HeaderValue::from_static(condition));
        }
        select(&headers, &HeaderValue::from_static("\"abc\""), 784_111_777, size)
    }

    const fn part(start: u64, end: u64) -> Selection {
        Selection::Part { start, end }
    }

    #[test]
    fn first_open_and_suffix_ranges() {
        // RFC 9110 §14.1.2
        let cases = [
            ("bytes=0-0", part(0, 1)),
            ("bytes=0-9", part(0, 10)),
            ("bytes=90-", part(90, 100)),
            ("bytes=-1", part(99, 100)),
            ("bytes=-1000", part(0, 100)),
            ("bytes=50-1000", part(50, 100)),
            ("Bytes = 1-2", part(1, 3)),
            ("bytes=0-99999999999999999999999", part(0, 100)),
        ];
        for (range, expected) in cases {
            assert_eq!(selected(range, None, 100), expected, "{range}");
        }
    }

    #[test]
    fn a_range_past_the_end_cannot_be_had() {
        // RFC 9110 §15.5.17
        for range in ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=99999999999999999999999-"] {
            assert_eq!(selected(range, None, 100), Selection::Unsatisfiable, "{range}");
        }
        for range in ["bytes=0-", "bytes=-1"] {
            assert_eq!(selected(range, None, 0), Selection::Unsatisfiable, "{range} of nothing");
        }
    }

    #[test]
    fn what_is_no_single_range_of_bytes_is_ignored() {
        // RFC 9110 §14.2
        for range in [
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=2-1",
            "bytes=a-b",
            "bytes=0-1,5-6",
            "lines=0-1",
            "bytes=+1-2",
            "bytes=1 -2",
        ] {
            assert_eq!(selected(range, None, 100), Selection::Whole, "{range}");
        }
        assert_eq!(select(&HeaderMap::new(), &HeaderValue::from_static("\"a\""), 0, 100), Selection::Whole);
    }

    #[test]
    fn if_range_takes_the_strong_tag_or_the_exact_date() {
        // RFC 9110 §13.1.5
        for same in ["\"abc\"", "Sun, 06 Nov 1994 08:49:37 GMT"] {
            assert_eq!(selected("bytes=0-0", Some(same), 100), part(0, 1), "{same}");
        }
        for other in ["W/\"abc\"", "\"x\"", "Sun, 06 Nov 1994 08:49:38 GMT", "garbage"] {
            assert_eq!(selected("bytes=0-0", Some(other), 100), Selection::Whole, "{other}");
        }
    }

    #[test]
    fn every_selected_part_lies_inside_and_is_not_empty() {
        for size in 0..6_u64 {
            for first in 0..8_u64 {
                for last in first..8 {
                    let wanted = Wanted::From { first, last: Some(last) };
                    match wanted.within(size) {
                        Selection::Part { start, end } => assert!(start < end && end <= size),
                        selection => assert_eq!((selection, first >= size), (Selection::Unsatisfiable, true)),
                    }
                }
            }
        }
    }
}
