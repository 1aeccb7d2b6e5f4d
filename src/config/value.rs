//! From the text of a value to its type. `None` is "not accepted"; the setting says what is.

use skerry_edge::network::Network;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// What sizes look like.
pub(super) const SIZE: &str = "bytes, such as 1048576, 64MiB or 10GiB";

/// What lists of addresses look like.
pub(super) const ADDRESSES: &str =
    "addresses with a port, such as 127.0.0.1:8081 or [::1]:8081; at least one";

/// What a number of seconds looks like.
pub(super) const SECONDS: &str = "whole seconds, from 1 to 86400";

/// What a count looks like.
pub(super) const COUNT: &str = "a whole number, at least 1";

const UNITS: [(&str, u64); 10] = [
    ("", 1),
    ("b", 1),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
];

/// Puts an accepted value in its place.
pub(super) fn put<T>(place: &mut T, value: Option<T>) -> Option<()> {
    *place = value?;
    Some(())
}

/// A number of bytes, with a unit or without.
pub(crate) fn size(text: &str) -> Option<u64> {
    let digits = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim().to_ascii_lowercase();
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// A whole number within bounds.
pub(super) fn number<N: FromStr + PartialOrd>(text: &str, bounds: RangeInclusive<N>) -> Option<N> {
    text.parse().ok().filter(|number| bounds.contains(number))
}

/// Networks, or none.
pub(super) fn networks(text: &str) -> Option<Vec<Network>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    text.split(',').map(|network| network.trim().parse().ok()).collect()
}

/// Seconds, from 1 to a day.
pub(super) fn seconds(text: &str) -> Option<Duration> {
    number(text, 1..=86_400).map(Duration::from_secs)
}

/// The entries of a list.
pub(super) fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned).collect()
}

/// A list that is not empty.
pub(super) fn names(text: &str) -> Option<Vec<String>> {
    Some(list(text)).filter(|names| !names.is_empty())
}

/// Socket addresses, at least one.
pub(super) fn addresses(text: &str) -> Option<Vec<SocketAddr>> {
    optional_addresses(text).filter(|addresses| !addresses.is_empty())
}

/// Socket addresses, or none.
pub(super) fn optional_addresses(text: &str) -> Option<Vec<SocketAddr>> {
    list(text).iter().map(|entry| entry.parse().ok()).collect()
}

/// Addresses of servers, each with a port where it is not the one that everybody uses; or none.
pub(super) fn servers(text: &str, port: u16) -> Option<Vec<SocketAddr>> {
    let server = |entry: &String| {
        let alone = || Some(SocketAddr::new(entry.parse().ok()?, port));
        entry.parse().ok().or_else(alone)
    };
    list(text).iter().map(server).collect()
}

/// A path; `None` inside where the text is empty.
pub(super) fn optional_path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| PathBuf::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_have_the_usual_port_unless_they_say_another() {
        let parsed = servers("9.9.9.9,2620:fe::9, [::1]:5353,127.0.0.1:1", 53).expect("addresses");
        let text: Vec<_> = parsed.iter().map(ToString::to_string).collect();
        assert_eq!(text, ["9.9.9.9:53", "[2620:fe::9]:53", "[::1]:5353", "127.0.0.1:1"]);
        assert_eq!(servers("", 53), Some(Vec::new()));
        for wrong in ["dns.example", "9.9.9.9:", "9.9.9.9:0x", "9.9.9"] {
            assert_eq!(servers(wrong, 53), None, "{wrong}");
        }
    }

    #[test]
    fn sizes_take_units() {
        let cases = [
            ("0", Some(0)),
            ("104857600", Some(104_857_600)),
            ("64MiB", Some(64 << 20)),
            ("64 mib", Some(64 << 20)),
            ("10GiB", Some(10 << 30)),
            ("1kB", Some(1000)),
            ("", None),
            ("MiB", None),
            ("-1", None),
            ("1.5GiB", None),
            ("1 elephant", None),
            ("18446744073709551615TiB", None),
        ];
        for (text, expected) in cases {
            assert_eq!(size(text), expected, "{text:?}");
        }
    }

    #[test]
    fn lists_are_separated_by_commas() {
        let two = addresses("127.0.0.1:1, [::1]:2").expect("two addresses");
        assert_eq!(two, ["127.0.0.1:1".parse().expect("address"), "[::1]:2".parse().expect("address")]);
        for wrong in ["", ",", "localhost:1", "127.0.0.1"] {
            assert_eq!(addresses(wrong), None, "{wrong:?}");
        }
        assert_eq!(names("a, b"), Some(vec!["a".into(), "b".into()]));
    }

    #[test]
    fn numbers_keep_within_bounds() {
        assert_eq!(number("5", 1..=5), Some(5));
        assert_eq!(number("6", 1..=5), None);
        assert_eq!(seconds("0"), None);
        assert_eq!(seconds("86400"), Some(Duration::from_secs(86_400)));
    }
}
