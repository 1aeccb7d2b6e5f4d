//! Which parts of the representation are wanted? (RFC 9110 §14)
//!
//! | rule | RFC 9110 |
//! | --- | --- |
//! | another unit, invalid syntax or a second field: as if there were none | §14.2 |
//! | a number past every end counts as the end | §14.1.2 |
//! | a suffix of an empty representation can be had, but no `Content-Range` can say it: the whole | §14.1.2, §14.4 |
//! | no range within the representation: 416 | §15.5.17 |
//! | ranges that overlap or touch become one, which stands where its first was asked for | §15.3.7.2 |
//! | many small ranges, or more than [`ASKED_MAX`] of any kind: the whole | §14.2, §17.15 |
//!
//! Work and memory are bounded by [`ASKED_MAX`], whatever a hostile field says.

use http::header::{HeaderMap, RANGE};
use std::ops::Range;

/// Ranges that one request may ask for before they are merged.
const ASKED_MAX: usize = 256;

/// Parts of one response.
const PARTS_MAX: usize = 16;

/// What of a representation goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Selection {
    /// All of it: 200.
    Whole,
    /// These bytes, at least one: 206.
    Part(Range<u64>),
    /// These, at least two, none empty, no two overlapping or touching: 206 with `multipart/byteranges`.
    Parts(Vec<Range<u64>>),
}

/// Decides about `Range` for a representation of `size` bytes. `None`: nothing of it can be had, which is answered with 416.
pub(super) fn select(headers: &HeaderMap, size: u64) -> Option<Selection> {
    let mut fields = headers.get_all(RANGE).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else { return Some(Selection::Whole) };
    match field.to_str().ok().and_then(|field| parse(field, size)) {
        None => Some(Selection::Whole),
        Some(Asked::Selection(selection)) => Some(selection),
        Some(Asked::PastTheEnd) => None,
    }
}

/// What a field comes to that is not ignored.
enum Asked {
    Selection(Selection),
    PastTheEnd,
}

/// `None` where the field is to be ignored.
fn parse(field: &str, size: u64) -> Option<Asked> {
    let (unit, set) = field.split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let mut first = None;
    let mut others = Vec::new();
    let mut asked = 0;
    // RFC 9110 §5.6.1.2: empty members of a list are no members.
    for member in
        set.split(',').map(|member| member.trim_matches([' ', '\t'])).filter(|member| !member.is_empty())
    {
        asked += 1;
        if asked > ASKED_MAX {
            return None;
        }
        match Wanted::parse(member)?.within(size) {
            Wish::Bytes(range) if first.is_none() => first = Some(range),
            Wish::Bytes(range) => others.push(range),
            Wish::Nothing => return None,
            Wish::PastTheEnd => {}
        }
    }
    match first {
        _ if asked == 0 => None,
        None => Some(Asked::PastTheEnd),
        Some(only) if others.is_empty() => Some(Asked::Selection(Selection::Part(only))),
        Some(first) => {
            others.insert(0, first);
            merged(others).map(Asked::Selection)
        }
    }
}

/// The same bytes in as few ranges as possible, in the order of asking; `None` where they are too many.
fn merged(asked: Vec<Range<u64>>) -> Option<Selection> {
    let mut by_start: Vec<(usize, Range<u64>)> = asked.into_iter().enumerate().collect();
    by_start.sort_by_key(|(_, range)| range.start);
    let mut parts: Vec<(usize, Range<u64>)> = Vec::new();
    for (place, range) in by_start {
        match parts.last_mut() {
            Some((first, last)) if range.start <= last.end => {
                last.end = last.end.max(range.end);
                *first = place.min(*first);
            }
            _ => parts.push((place, range)),
        }
    }
    if parts.len() > PARTS_MAX {
        return None;
    }
    parts.sort_by_key(|(place, _)| *place);
    let mut parts: Vec<Range<u64>> = parts.into_iter().map(|(_, range)| range).collect();
    match parts.len() {
        1 => parts.pop().map(Selection::Part),
        _ => Some(Selection::Parts(parts)),
    }
}

/// One range as it was asked for (RFC 9110 §14.1.1). Numbers beyond 64 bits are past every end, and so clamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    From { first: u64, last: Option<u64> },
    Suffix { length: u64 },
}

/// What one range comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wish {
    /// At least one byte.
    Bytes(Range<u64>),
    /// It can be had, and is empty.
    Nothing,
    /// It cannot be had.
    PastTheEnd,
}

impl Wanted {
    fn parse(member: &str) -> Option<Self> {
        match member.split_once('-')? {
            ("", length) => Some(Self::Suffix { length: number(length)? }),
            (first, "") => Some(Self::From { first: number(first)?, last: None }),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::From { first, last: Some(last) })
            }
        }
    }

    fn within(self, size: u64) -> Wish {
        match self {
            Self::From { first, .. } if first >= size => Wish::PastTheEnd,
            Self::From { first, last } => {
                let end = last.map_or(size, |last| last.saturating_add(1).min(size));
                Wish::Bytes(first..end)
            }
            Self::Suffix { length: 0 } => Wish::PastTheEnd,
            Self::Suffix { .. } if size == 0 => Wish::Nothing,
            Self::Suffix { length } => Wish::Bytes(size - length.min(size)..size),
        }
    }
}

fn number(digits: &str) -> Option<u64> {
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::Selection::{Part, Parts, Whole};
    use super::*;
    use http::HeaderValue;
    use std::collections::BTreeSet;

    const UNSATISFIABLE: Option<Selection> = None;

    fn selected(range: &str, size: u64) -> Option<Selection> {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, HeaderValue::from_str(range).expect("a value"));
        select(&headers, size)
    }

    #[test]
    fn first_open_and_suffix_ranges() {
        // RFC 9110 §14.1.2
        let cases = [
            ("bytes=0-0", 0..1),
            ("bytes=0-9", 0..10),
            ("bytes=90-", 90..100),
            ("bytes=-1", 99..100),
            ("bytes=-1000", 0..100),
            ("bytes=50-1000", 50..100),
            ("Bytes= 1-2 ", 1..3),
            ("bytes=0-99999999999999999999999", 0..100),
            ("bytes=-99999999999999999999999", 0..100),
            (", bytes=1-2".trim_start_matches(", "), 1..3),
        ];
        for (range, expected) in cases {
            assert_eq!(selected(range, 100), Some(Part(expected)), "{range}");
        }
    }

    #[test]
    fn a_range_past_the_end_cannot_be_had() {
        // RFC 9110 §15.5.17
        for range in
            ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=99999999999999999999999-", "bytes=100-,-0"]
        {
            assert_eq!(selected(range, 100), UNSATISFIABLE, "{range}");
        }
        for range in ["bytes=0-", "bytes=0-0", "bytes=-0"] {
            assert_eq!(selected(range, 0), UNSATISFIABLE, "{range} of nothing");
        }
        assert_eq!(selected("bytes=-1", 0), Some(Whole));
    }

    #[test]
    fn what_is_no_range_of_bytes_is_ignored() {
        // RFC 9110 §14.2
        for range in [
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=2-1",
            "bytes=a-b",
            "lines=0-1",
            "bytes=+1-2",
            "bytes=1 -2",
            "bytes=1-2-3",
            "bytes=0-1;2-3",
            "bytes=0-1,x",
            "bytes =0-1",
        ] {
            assert_eq!(selected(range, 100), Some(Whole), "{range}");
        }
        assert_eq!(select(&HeaderMap::new(), 100), Some(Whole));
        let mut twice = HeaderMap::new();
        for range in ["bytes=0-1", "bytes=5-6"] {
            twice.append(RANGE, HeaderValue::from_static(range));
        }
        assert_eq!(select(&twice, 100), Some(Whole));
    }

    #[test]
    fn several_ranges_are_merged_and_keep_the_order_of_asking() {
        // RFC 9110 §15.3.7.2
        let cases = [
            ("bytes=0-1,5-6", Parts(vec![0..2, 5..7])),
            ("bytes=50-59, 0-9", Parts(vec![50..60, 0..10])),
            ("bytes=0-9,20-29,5-14", Parts(vec![0..15, 20..30])),
            ("bytes=0-9,10-19", Part(0..20)),
            ("bytes=10-19,0-9,-5", Parts(vec![0..20, 95..100])),
            ("bytes=0-0,200-300,-0", Part(0..1)),
            ("bytes=0-0,,\t, 99-", Parts(vec![0..1, 99..100])),
            ("bytes=1-,0-", Part(0..100)),
        ];
        for (range, expected) in cases {
            assert_eq!(selected(range, 100), Some(expected), "{range}");
        }
    }

    #[test]
    fn too_many_ranges_show_the_whole() {
        // RFC 9110 §17.15
        let list = |count: u64, step: u64| {
            let members: Vec<_> = (0..count).map(|number| format!("{0}-{0}", number * step)).collect();
            format!("bytes={}", members.join(","))
        };
        assert!(matches!(selected(&list(16, 2), 1000), Some(Parts(parts)) if parts.len() == 16));
        assert_eq!(selected(&list(17, 2), 1000), Some(Whole));
        assert_eq!(selected(&list(256, 1), 1000), Some(Part(0..256)));
        assert_eq!(selected(&list(257, 1), 1000), Some(Whole));
        assert_eq!(selected(&format!("bytes={}0-1", ",".repeat(15_000)), 1000), Some(Part(0..2)));
    }

    /// Every pair of ranges over every small size shows exactly the bytes that were asked for, in parts that do not touch.
    #[test]
    fn every_pair_shows_exactly_the_bytes_asked_for() {
        let members: Vec<String> = (0..6_u64)
            .flat_map(|first| (first..6).map(move |last| format!("{first}-{last}")))
            .chain((0..6).map(|first| format!("{first}-")))
            .chain((0..6).map(|length| format!("-{length}")))
            .collect();
        for size in 1..6_u64 {
            for one in &members {
                for two in &members {
                    let field = format!("bytes={one},{two}");
                    let asked: BTreeSet<u64> =
                        [one, two].into_iter().flat_map(|member| asked(member, size)).collect();
                    let parts = match selected(&field, size) {
                        None => Vec::new(),
                        Some(Part(part)) => vec![part],
                        Some(Parts(parts)) => {
                            assert_eq!(parts.len(), 2, "{field} of {size}");
                            let apart = parts[0].end < parts[1].start || parts[1].end < parts[0].start;
                            assert!(apart, "{field} of {size}");
                            parts
                        }
                        Some(Whole) => panic!("{field} of {size} is ignored"),
                    };
                    assert!(
                        parts.iter().all(|part| part.start < part.end && part.end <= size),
                        "{field} of {size}"
                    );
                    assert_eq!(
                        parts.into_iter().flatten().collect::<BTreeSet<_>>(),
                        asked,
                        "{field} of {size}"
                    );
                }
            }
        }
    }

    /// The positions that a valid member names, byte by byte.
    fn asked(member: &str, size: u64) -> Vec<u64> {
        let number = |digits: &str| digits.parse::<u64>().expect("digits");
        let (first, last) = member.split_once('-').expect("a range");
        (0..size)
            .filter(|position| match (first, last) {
                ("", length) => size - position <= number(length),
                (first, "") => *position >= number(first),
                (first, last) => (number(first)..=number(last)).contains(position),
            })
            .collect()
    }

    /// Every single range, against the parser of the authors of tower-http's range header.
    #[test]
    fn another_implementation_selects_alike() {
        let numbers =
            ["", "0", "1", "3", "4", "5", "7", "18446744073709551615", "18446744073709551616", "x", "-"];
        for size in [1_u64, 4, 5, 6] {
            for first in numbers {
                for last in numbers {
                    let field = format!("bytes={first}-{last}");
                    let theirs = match http_range_header::parse_range_header(&field) {
                        Err(_) => Some(Whole),
                        Ok(ranges) => match ranges.validate(size) {
                            Ok(ranges) => Some(Part(*ranges[0].start()..ranges[0].end() + 1)),
                            Err(_) => None,
                        },
                    };
                    let ours = selected(&field, size);
                    assert_eq!(ours, theirs, "{field} of {size}");
                }
            }
        }
    }
}
