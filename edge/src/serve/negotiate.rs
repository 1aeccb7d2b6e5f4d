//! Which coded form of an asset does the client want? (RFC 9110 §12.5.3)
//!
//! | rule | RFC 9110 |
//! | --- | --- |
//! | no field: identity, because a client that says nothing may know no coding | §12.5.3 |
//! | a coding that is named counts with its weight; one that is not counts with that of `*`, else not at all | §12.5.3 |
//! | identity is always there, behind all that is named, unless `identity;q=0` or `*;q=0` shuts it out | §12.5.3 |
//! | several lines are one list | §5.3 |
//! | `x-gzip` is `gzip`; names are compared without case | §8.4.1 |
//!
//! The highest weight wins; among equals the smallest representation. Browsers ask for media with `identity`, so a range of a film is
//! one of the film's own bytes.

use super::weight::weight;
use crate::control::{Coding, Representation};
use http::header::{ACCEPT_ENCODING, HeaderMap};

/// Position of the representation to show; `None` where none is acceptable.
pub(super) fn choose(headers: &HeaderMap, representations: &[Representation]) -> Option<usize> {
    if !headers.contains_key(ACCEPT_ENCODING) {
        // A manifest's entry has identity first.
        return Some(0);
    }
    let wanted = Wanted::read(headers);
    let weighed = representations.iter().enumerate().filter_map(|(position, representation)| {
        Some((wanted.of(representation.coding)?, representation.blob.size, position))
    });
    // The position last: what is equal in all else stays in the manifest's order.
    weighed
        .min_by_key(|(weight, size, position)| (u16::MAX - weight, *size, *position))
        .map(|(_, _, position)| position)
}

/// What an `Accept-Encoding` says of each coding, in thousandths; `None` where it does not name it.
#[derive(Debug, Default)]
struct Wanted {
    named: [Option<u16>; Coding::ALL.len()],
    any: Option<u16>,
}

impl Wanted {
    fn read(headers: &HeaderMap) -> Self {
        let mut wanted = Self::default();
        for line in headers.get_all(ACCEPT_ENCODING) {
            for member in line.as_bytes().split(|byte| *byte == b',') {
                let (name, parameters) = split_once(member, b';');
                // A member with a weight that is none says nothing.
                let Some(weight) = weight(parameters) else { continue };
                match name.trim_ascii() {
                    b"*" => wanted.any = Some(weight),
                    name => {
                        if let Some(coding) = coding(name) {
                            wanted.named[coding as usize] = Some(weight);
                        }
                    }
                }
            }
        }
        wanted
    }

    /// Weight of a coding; `None` where it is not acceptable.
    fn of(&self, coding: Coding) -> Option<u16> {
        match (self.named[coding as usize].or(self.any), coding) {
            (Some(0), _) => None,
            (Some(weight), _) => Some(weight),
            (None, Coding::Identity) => Some(0),
            (None, Coding::Brotli | Coding::Zstd | Coding::Gzip) => None,
        }
    }
}

fn coding(name: &[u8]) -> Option<Coding> {
    if name.eq_ignore_ascii_case(b"x-gzip") {
        return Some(Coding::Gzip);
    }
    Coding::ALL.into_iter().find(|coding| name.eq_ignore_ascii_case(coding.token().as_bytes()))
}

fn split_once(text: &[u8], at: u8) -> (&[u8], &[u8]) {
    match text.iter().position(|byte| *byte == at) {
        Some(position) => (&text[..position], &text[position + 1..]),
        None => (text, b""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Coding::{Brotli, Gzip, Identity, Zstd};
    use http::HeaderValue;
    use skerry_proto::slices::BlobId;

    /// Sizes 100, 40, 50, 60, in the order of a manifest.
    fn all() -> Vec<Representation> {
        let of = |(coding, size)| Representation::new(coding, BlobId { size, ..BlobId::of(b"") }, &[0; 32]);
        [(Identity, 100), (Brotli, 40), (Zstd, 50), (Gzip, 60)].map(of).into()
    }

    fn chosen(lines: &[&'static str], representations: &[Representation]) -> Option<Coding> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(ACCEPT_ENCODING, HeaderValue::from_static(line));
        }
        choose(&headers, representations).map(|position| representations[position].coding)
    }

    #[test]
    fn the_heaviest_acceptable_coding_is_chosen() {
        let cases: &[(&[&'static str], Option<Coding>)] = &[
            // §12.5.3, rule by rule.
            (&[], Some(Identity)),
            (&[""], Some(Identity)),
            (&["identity"], Some(Identity)),
            (&["br"], Some(Brotli)),
            (&["gzip, deflate, br, zstd"], Some(Brotli)),
            (&["gzip;q=0.5"], Some(Gzip)),
            (&["gzip;q=1.0, br;q=0.999"], Some(Gzip)),
            (&["identity;q=1, gzip;q=0.5"], Some(Identity)),
            (&["identity, gzip"], Some(Gzip)),
            (&["*"], Some(Brotli)),
            (&["*;q=0.1, gzip"], Some(Gzip)),
            (&["br;q=0, *"], Some(Zstd)),
            (&["compress"], Some(Identity)),
            (&["identity;q=0"], None),
            (&["*;q=0"], None),
            (&["*;q=0, zstd"], Some(Zstd)),
            (&["*;q=0, identity;q=0.1"], Some(Identity)),
            (&["identity;q=0, gzip;q=0.001"], Some(Gzip)),
            // §5.3: lines are one list.
            (&["gzip;q=0.2", "zstd;q=0.3"], Some(Zstd)),
            // §8.4.1: names without case, and the old name of gzip.
            (&["X-GZIP"], Some(Gzip)),
            (&["BR ; Q=0.7"], Some(Brotli)),
            // No weight of §12.4.2: the member says nothing.
            (&["br;q=2"], Some(Identity)),
            (&["br;q=abc, gzip"], Some(Gzip)),
            (&[",,, ;q=1, gzip ,"], Some(Gzip)),
        ];
        for (lines, expected) in cases {
            assert_eq!(chosen(lines, &all()), *expected, "{lines:?}");
        }
    }

    #[test]
    fn among_equals_the_smallest_is_chosen() {
        let mut representations = all();
        representations[2].blob.size = 10;
        assert_eq!(chosen(&["br, zstd, gzip"], &representations), Some(Zstd));
        representations[0].blob.size = 5;
        assert_eq!(chosen(&["br, zstd, gzip, identity"], &representations), Some(Identity));
    }

    #[test]
    fn an_asset_with_one_representation_shows_it_or_nothing() {
        let only = &all()[..1];
        assert_eq!(chosen(&["br, gzip"], only), Some(Identity));
        assert_eq!(chosen(&["br, identity;q=0"], only), None);
    }

    /// Every combination of weights of three members, against the rules said another way.
    #[test]
    fn every_combination_follows_the_rules() {
        let weights = [None, Some("0"), Some("0.5"), Some("1")];
        let milli = |weight: Option<&str>| {
            weight.map(|weight| (weight.parse::<f32>().expect("a number") * 1000.0) as u32)
        };
        let representations = all();
        for br in weights {
            for identity in weights {
                for any in weights {
                    let members = [("br", br), ("identity", identity), ("*", any)];
                    let list: Vec<_> = members
                        .iter()
                        .filter_map(|(name, weight)| Some(format!("{name};q={}", (*weight)?)))
                        .collect();
                    let mut headers = HeaderMap::new();
                    headers.insert(ACCEPT_ENCODING, list.join(", ").parse().expect("a value"));
                    let got =
                        choose(&headers, &representations).map(|position| representations[position].coding);

                    let mut best: Option<(u32, u64, Coding)> = None;
                    for representation in &representations {
                        let named = match representation.coding {
                            Brotli => br,
                            Identity => identity,
                            Zstd | Gzip => None,
                        };
                        let weight = match milli(named).or(milli(any)) {
                            Some(0) => continue,
                            Some(weight) => weight,
                            None if representation.coding == Identity => 0,
                            None => continue,
                        };
                        let size = representation.blob.size;
                        if best
                            .is_none_or(|(most, least, _)| weight > most || (weight == most && size < least))
                        {
                            best = Some((weight, size, representation.coding));
                        }
                    }
                    assert_eq!(got, best.map(|(_, _, coding)| coding), "{list:?}");
                }
            }
        }
    }
}
