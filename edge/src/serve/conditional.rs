//! Does the client's condition hold? (RFC 9110 §13)
//!
//! | step of RFC 9110 §13.2.2 | holds | else |
//! | --- | --- | --- |
//! | 1. `If-Match`: `*`, or a tag that is equal by strong comparison | on to 3 | 412 |
//! | 2. `If-Unmodified-Since`, without 1: no later modification | on to 3 | 412 |
//! | 3. `If-None-Match`: neither `*` nor a tag that is equal by weak comparison | on to 5 | 304 |
//! | 4. `If-Modified-Since`, without 3: a later modification | on to 5 | 304 |
//! | 5. `If-Range`, with `Range`: the strong tag or the exact date | the range | the whole |
//!
//! What is no date is ignored (§13.1.3, §13.1.4). Lists of tags may stand on several lines (§5.3).

use http::header::{
    HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE, RANGE,
};
use std::time::UNIX_EPOCH;

/// What the conditions of a request are compared with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Validators<'a> {
    /// Strong.
    pub(super) etag: &'a HeaderValue,
    /// `Last-Modified` in Unix seconds, where the response has one.
    pub(super) modified: Option<i64>,
}

/// What follows from the conditions of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As if there were none.
    Proceed,
    /// 304
    NotModified,
    /// 412
    Failed,
}

/// Whether a field of this name can make anything but the whole of an answer. Most requests have none of them, and one look over the
/// names they have costs less than asking for each of six.
pub(super) fn may_change_the_answer(name: &HeaderName) -> bool {
    name.as_str().starts_with("if-") || *name == RANGE
}

/// Steps 1 to 4, for GET and HEAD.
pub(super) fn judge(headers: &HeaderMap, now: Validators<'_>) -> Verdict {
    if headers.contains_key(IF_MATCH) {
        if !any_matches(headers, IF_MATCH, now.etag, Comparison::Strong) {
            return Verdict::Failed;
        }
    } else if dates(headers, IF_UNMODIFIED_SINCE, now).is_some_and(|(modified, date)| modified > date) {
        return Verdict::Failed;
    }
    let is_current = if headers.contains_key(IF_NONE_MATCH) {
        any_matches(headers, IF_NONE_MATCH, now.etag, Comparison::Weak)
    } else {
        dates(headers, IF_MODIFIED_SINCE, now).is_some_and(|(modified, date)| modified <= date)
    };
    if is_current { Verdict::NotModified } else { Verdict::Proceed }
}

/// Step 5: whether `Range` counts.
pub(super) fn range_counts(headers: &HeaderMap, now: Validators<'_>) -> bool {
    let mut fields = headers.get_all(IF_RANGE).iter();
    match (fields.next(), fields.next()) {
        (None, _) => true,
        // §13.1.5: a strong tag that is equal, or a date that is exactly the one of the representation.
        (Some(condition), None) => {
            condition == now.etag || (now.modified.is_some() && seconds(condition) == now.modified)
        }
        (Some(_), Some(_)) => false,
    }
}

/// Time of modification and date of a field; `None` where one of them is not there.
fn dates(headers: &HeaderMap, name: HeaderName, now: Validators<'_>) -> Option<(i64, i64)> {
    let mut fields = headers.get_all(name).iter();
    match (fields.next(), fields.next()) {
        (Some(date), None) => Some((now.modified?, seconds(date)?)),
        _ => None,
    }
}

/// Seconds of an HTTP date (RFC 9110 §5.6.7).
fn seconds(date: &HeaderValue) -> Option<i64> {
    let time = httpdate::parse_http_date(date.to_str().ok()?).ok()?;
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
}

/// How entity tags are compared (RFC 9110 §8.8.3.2). Ours is strong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    /// A weak tag equals nothing.
    Strong,
    /// The mark of a weak tag is left aside.
    Weak,
}

fn any_matches(headers: &HeaderMap, name: HeaderName, etag: &HeaderValue, comparison: Comparison) -> bool {
    headers.get_all(name).iter().any(|list| lists(list.as_bytes(), etag.as_bytes(), comparison))
}

/// Whether a list of entity tags names `etag`, or is `*`.
fn lists(mut list: &[u8], etag: &[u8], comparison: Comparison) -> bool {
    let mut counts = true;
    loop {
        list = list.trim_ascii_start();
        list = match list {
            [] => return false,
            [b',', rest @ ..] => rest,
            [b'*', rest @ ..] => return rest.trim_ascii().is_empty(),
            [b'W', b'/', rest @ ..] if rest.starts_with(b"\"") => {
                counts = comparison == Comparison::Weak;
                rest
            }
            [b'"', rest @ ..] => {
                let Some(end) = rest.iter().position(|byte| *byte == b'"') else { return false };
                if counts && list.get(..end + 2) == Some(etag) {
                    return true;
                }
                counts = true;
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
    use Verdict::{Failed, NotModified, Proceed};
    use headers::HeaderMapExt;
    use std::time::{Duration, SystemTime};

    const ETAG: &str = "\"abc\"";
    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const SAME: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const AFTER: &str = "Sunday, 06-Nov-94 08:49:38 GMT";
    const MODIFIED: i64 = 784_111_777;

    type Fields = [(&'static str, &'static str)];

    fn map(fields: &Fields) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn judged(fields: &Fields) -> Verdict {
        let etag = HeaderValue::from_static(ETAG);
        judge(&map(fields), Validators { etag: &etag, modified: Some(MODIFIED) })
    }

    #[test]
    fn the_steps_are_taken_in_their_order() {
        let cases: &[(&Fields, Verdict)] = &[
            (&[], Proceed),
            // Step 1
            (&[("if-match", ETAG)], Proceed),
            (&[("if-match", "*")], Proceed),
            (&[("if-match", "\"x\"")], Failed),
            (&[("if-match", "W/\"abc\"")], Failed),
            (&[("if-match", "W/\"x\", \"abc\"")], Proceed),
            (&[("if-match", "\"x\""), ("if-match", ETAG)], Proceed),
            (&[("if-match", "")], Failed),
            // Step 2 counts only without step 1.
            (&[("if-unmodified-since", SAME)], Proceed),
            (&[("if-unmodified-since", AFTER)], Proceed),
            (&[("if-unmodified-since", BEFORE)], Failed),
            (&[("if-unmodified-since", "yesterday")], Proceed),
            (&[("if-match", ETAG), ("if-unmodified-since", BEFORE)], Proceed),
            // Step 3 is taken after 1 and 2.
            (&[("if-none-match", ETAG)], NotModified),
            (&[("if-none-match", "\"x\"")], Proceed),
            (&[("if-match", ETAG), ("if-none-match", ETAG)], NotModified),
            (&[("if-match", "\"x\""), ("if-none-match", ETAG)], Failed),
            (&[("if-unmodified-since", BEFORE), ("if-none-match", ETAG)], Failed),
            // Step 4 counts only without step 3.
            (&[("if-modified-since", SAME)], NotModified),
            (&[("if-modified-since", AFTER)], NotModified),
            (&[("if-modified-since", BEFORE)], Proceed),
            (&[("if-modified-since", "yesterday")], Proceed),
            (&[("if-modified-since", SAME), ("if-none-match", "\"x\"")], Proceed),
            (&[("if-modified-since", BEFORE), ("if-none-match", ETAG)], NotModified),
            (&[("if-unmodified-since", SAME), ("if-modified-since", SAME)], NotModified),
            // §5.3: a field that is no list stands on one line.
            (&[("if-modified-since", SAME), ("if-modified-since", SAME)], Proceed),
        ];
        for (fields, expected) in cases {
            assert_eq!(judged(fields), *expected, "{fields:?}");
        }
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
            assert_eq!(judged(&[("if-none-match", value)]), NotModified, "{value}");
        }
        assert_eq!(judged(&[("if-none-match", "\"x\""), ("if-none-match", "\"abc\"")]), NotModified);
        for value in
            ["", "\"x\"", "abc", "\"ab\"", "\"abc", "\"x\" y \"abc\"", "*x", "w/\"abc\"", "W/ \"abc\""]
        {
            assert_eq!(judged(&[("if-none-match", value)]), Proceed, "{value}");
        }
    }

    #[test]
    fn if_range_takes_the_strong_tag_or_the_exact_date() {
        // RFC 9110 §13.1.5
        let etag = HeaderValue::from_static(ETAG);
        let counts =
            |fields: &Fields, modified| range_counts(&map(fields), Validators { etag: &etag, modified });
        assert!(counts(&[], Some(MODIFIED)));
        for same in [ETAG, SAME] {
            assert!(counts(&[("if-range", same)], Some(MODIFIED)), "{same}");
        }
        for other in ["W/\"abc\"", "\"x\"", BEFORE, AFTER, "garbage", "*"] {
            assert!(!counts(&[("if-range", other)], Some(MODIFIED)), "{other}");
            assert!(!counts(&[("if-range", other)], None), "{other} without a date");
        }
        assert!(!counts(&[("if-range", ETAG), ("if-range", ETAG)], Some(MODIFIED)));
    }

    #[test]
    fn without_a_date_of_modification_dates_are_ignored() {
        let etag = HeaderValue::from_static(ETAG);
        let now = Validators { etag: &etag, modified: None };
        for name in ["if-modified-since", "if-unmodified-since"] {
            assert_eq!(judge(&map(&[(name, BEFORE)]), now), Proceed, "{name}");
        }
    }

    /// Every combination of four fields, against the typed headers of hyper's authors.
    #[test]
    fn another_implementation_judges_alike() {
        let tags = [None, Some("*"), Some(ETAG), Some("W/\"abc\""), Some("\"x\""), Some("\"x\", \"abc\"")];
        let dates = [None, Some(BEFORE), Some(SAME), Some(AFTER)];
        let mut count = 0;
        for if_match in tags {
            for if_unmodified_since in dates {
                for if_none_match in tags {
                    for if_modified_since in dates {
                        let fields: Vec<_> = [
                            ("if-match", if_match),
                            ("if-unmodified-since", if_unmodified_since),
                            ("if-none-match", if_none_match),
                            ("if-modified-since", if_modified_since),
                        ]
                        .into_iter()
                        .filter_map(|(name, value)| Some((name, value?)))
                        .collect();
                        assert_eq!(judged(&fields), theirs(&map(&fields)), "{fields:?}");
                        count += 1;
                    }
                }
            }
        }
        assert_eq!(count, 576);
    }

    fn theirs(fields: &HeaderMap) -> Verdict {
        let etag: headers::ETag = ETAG.parse().expect("a tag");
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(MODIFIED as u64);
        let holds = match fields.typed_get::<headers::IfMatch>() {
            Some(condition) => condition.precondition_passes(&etag),
            None => fields
                .typed_get::<headers::IfUnmodifiedSince>()
                .is_none_or(|condition| condition.precondition_passes(modified)),
        };
        let wanted = match fields.typed_get::<headers::IfNoneMatch>() {
            Some(condition) => condition.precondition_passes(&etag),
            None => fields
                .typed_get::<headers::IfModifiedSince>()
                .is_none_or(|condition| condition.is_modified(modified)),
        };
        match (holds, wanted) {
            (false, _) => Failed,
            (true, false) => NotModified,
            (true, true) => Proceed,
        }
    }
}
