//! The settings of an edge that are about other edges: what it gives them, and what it asks of them.

use super::super::layers::Fault;
use super::super::value::{self, COUNT, SECONDS, put};
use super::super::{Setting, Shape};
use super::{EdgeSettings, MEMORY_SIZE_MIN};
use skerry_edge::config::UpstreamAddress;
use std::time::Duration;

/// What names of other edges look like.
const PEERS: &str = "HOST:PORT of fill listeners, such as edge-1.example.com:8444; empty for none";

/// Milliseconds of patience.
const MILLISECONDS: &str = "whole milliseconds, from 10 to 60000";

pub(super) fn check(settings: &EdgeSettings, faults: &mut Vec<Fault>) {
    let has_neighbours = !settings.tiers.neighbours.is_empty();
    if has_neighbours && settings.cache.borrowed_size > settings.cache.memory_size / 2 {
        faults.push(Fault::new(
            "cache.borrowed_size is a part of cache.memory_size, and may be half of it at most",
        ));
    }
    if has_neighbours && settings.give.addresses.is_empty() {
        faults.push(Fault::new("neighbours needs fill.addresses: edges of one place ask each other, so this one must be there for them too"));
    }
    let limits = &settings.give;
    if limits.edge_byte_count_max > limits.byte_count_max
        || limits.edge_fill_count_max > limits.fill_count_max
    {
        faults.push(Fault::new(
            "limits.give.edge_* are for one edge, and cannot be more than limits.give.* for all of them",
        ));
    }
}

pub(in super::super) const SETTINGS: &[Setting<EdgeSettings>] = &[
    Setting {
        name: "fill.addresses",
        default: "",
        shape: Shape::List,
        accepts: "addresses with a port, such as 0.0.0.0:8444; empty for none",
        doc: "Addresses at which other edges of the cluster are given slices: as their shield, or as their neighbour. TLS, edges alone.",
        set: |to, text| put(&mut to.give.addresses, value::optional_addresses(text)),
    },
    Setting {
        name: "upstreams",
        default: "",
        shape: Shape::List,
        accepts: "HOST:PORT of fill listeners in the order to ask, and `origin`; empty for the origin alone",
        doc: "Shields that are asked for slices before the origin is, in order, as long as they are well. The origin comes last, unless it is named.",
        set: |to, text| put(&mut to.tiers.upstreams, upstreams(text)),
    },
    Setting {
        name: "neighbours",
        default: "",
        shape: Shape::List,
        accepts: PEERS,
        doc: "Edges of the same place, which share their caches: each slice is kept by one of them. A name may have the addresses of all, this edge among them.",
        set: |to, text| {
            put(&mut to.tiers.neighbours, value::list(text).into_iter().map(|entry| peer(&entry)).collect())
        },
    },
    Setting {
        name: "neighbours_resolve_seconds",
        default: "15",
        shape: Shape::Number,
        accepts: SECONDS,
        doc: "Seconds after which the names of neighbours are resolved again.",
        set: |to, text| put(&mut to.tiers.resolve_interval, value::seconds(text)),
    },
    Setting {
        name: "ready.warm_share",
        default: "80",
        shape: Shape::Number,
        accepts: "a whole number from 0 to 100",
        doc: "Percent of what this edge, or its neighbours, were asked for most that it pulls before it says that it is ready; 0: it is ready at once.",
        set: |to, text| put(&mut to.ready.share_percent, value::number(text, 0..=100)),
    },
    Setting {
        name: "ready.size_max",
        default: "256MiB",
        shape: Shape::Text,
        accepts: "bytes, such as 256MiB; from 1MiB to 500GiB",
        doc: "Bytes that are pulled for that at most.",
        set: |to, text| put(&mut to.ready.size_max, super::in_flight_size(text)),
    },
    Setting {
        name: "ready.seconds_max",
        default: "30",
        shape: Shape::Number,
        accepts: SECONDS,
        doc: "Seconds after which an edge is ready whether it has pulled that or not.",
        set: |to, text| put(&mut to.ready.time_max, value::seconds(text)),
    },
    Setting {
        name: "cache.borrowed_size",
        default: "32MiB",
        shape: Shape::Text,
        accepts: "bytes, such as 32MiB; at least 4MiB, at most half of cache.memory_size",
        doc: "Bytes of cache.memory_size for slices that neighbours own; none without neighbours.",
        set: |to, text| {
            let size = value::size(text).filter(|size| *size >= MEMORY_SIZE_MIN)?;
            put(&mut to.cache.borrowed_size, Some(size))
        },
    },
    Setting {
        name: "limits.shield_milliseconds_max",
        default: "2000",
        shape: Shape::Number,
        accepts: MILLISECONDS,
        doc: "Milliseconds that a shield may take to take a question, and four times that for each part of its answer, before the next upstream is asked.",
        set: |to, text| put(&mut to.tiers.shield_answer_time_max, milliseconds(text)),
    },
    Setting {
        name: "limits.neighbour_milliseconds_max",
        default: "500",
        shape: Shape::Number,
        accepts: MILLISECONDS,
        doc: "The same for a neighbour.",
        set: |to, text| put(&mut to.tiers.neighbour_answer_time_max, milliseconds(text)),
    },
    Setting {
        name: "limits.bench_seconds_max",
        default: "60",
        shape: Shape::Number,
        accepts: SECONDS,
        doc: "Seconds for which a shield or a neighbour that fails again and again is not asked at most; the first time it is one.",
        set: |to, text| put(&mut to.tiers.bench_time_max, value::seconds(text)),
    },
    Setting {
        name: "limits.liar_bench_seconds",
        default: "600",
        shape: Shape::Number,
        accepts: SECONDS,
        doc: "Seconds for which a shield or a neighbour is not asked that sent bytes that do not verify.",
        set: |to, text| put(&mut to.tiers.liar_bench_time, value::seconds(text)),
    },
    Setting {
        name: "limits.give.connection_count_max",
        default: "1024",
        shape: Shape::Number,
        accepts: COUNT,
        doc: "Connections of other edges; one more is closed.",
        set: |to, text| put(&mut to.give.connection_count_max, value::number(text, 1..=100_000)),
    },
    Setting {
        name: "limits.give.fill_count_max",
        default: "1024",
        shape: Shape::Number,
        accepts: COUNT,
        doc: "Fills of other edges under way in all; one more is refused, and goes elsewhere.",
        set: |to, text| put(&mut to.give.fill_count_max, value::number(text, 1..=100_000)),
    },
    Setting {
        name: "limits.give.edge_fill_count_max",
        default: "256",
        shape: Shape::Number,
        accepts: COUNT,
        doc: "Fills of one other edge under way; one more is refused, and goes elsewhere.",
        set: |to, text| put(&mut to.give.edge_fill_count_max, value::number(text, 1..=100_000)),
    },
    Setting {
        name: "limits.give.size_max",
        default: "256MiB",
        shape: Shape::Text,
        accepts: "bytes, such as 256MiB; from 1MiB to 500GiB",
        doc: "Bytes on their way to other edges in all; past it fills wait.",
        set: |to, text| put(&mut to.give.byte_count_max, super::in_flight_size(text)),
    },
    Setting {
        name: "limits.give.edge_size_max",
        default: "64MiB",
        shape: Shape::Text,
        accepts: "bytes, such as 64MiB; from 1MiB to 500GiB",
        doc: "Bytes on their way to one other edge; past it its fills wait.",
        set: |to, text| put(&mut to.give.edge_byte_count_max, super::in_flight_size(text)),
    },
];

fn milliseconds(text: &str) -> Option<Duration> {
    value::number(text, 10..=60_000).map(Duration::from_millis)
}

/// Shields and `origin`, each once.
fn upstreams(text: &str) -> Option<Vec<UpstreamAddress>> {
    let mut upstreams = Vec::new();
    for entry in value::list(text) {
        let upstream = match entry.as_str() {
            "origin" => UpstreamAddress::Origin,
            shield => UpstreamAddress::Shield(peer(shield)?),
        };
        if upstreams.contains(&upstream) {
            return None;
        }
        upstreams.push(upstream);
    }
    Some(upstreams)
}

/// `HOST:PORT`.
fn peer(entry: &str) -> Option<String> {
    let authority: http::uri::Authority = entry.parse().ok()?;
    let is_plain = !authority.as_str().contains('@') && !authority.host().is_empty();
    (is_plain && authority.port_u16().is_some_and(|port| port > 0)).then(|| authority.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstreams_are_shields_and_the_origin_in_order() {
        let shield = |address: &str| UpstreamAddress::Shield(address.to_owned());
        assert_eq!(upstreams(""), Some(Vec::new()));
        assert_eq!(
            upstreams("a.example:8444, origin,[::1]:1"),
            Some(vec![shield("a.example:8444"), UpstreamAddress::Origin, shield("[::1]:1")])
        );
        for wrong in
            ["a.example", "https://a.example:1", "a:0", "a:70000", ":1", "u@a:1", "a:1,a:1", "origin,origin"]
        {
            assert_eq!(upstreams(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_said() {
        let faults = |change: fn(&mut EdgeSettings)| {
            let mut settings = EdgeSettings::blank();
            change(&mut settings);
            let mut faults = Vec::new();
            check(&settings, &mut faults);
            format!("{faults:?}")
        };
        assert_eq!(faults(|_| {}), "[]");
        let alone = faults(|settings| settings.tiers.neighbours = vec!["a:1".into()]);
        assert!(alone.contains("fill.addresses"), "{alone}");
        let greedy = faults(|settings| settings.give.edge_fill_count_max = settings.give.fill_count_max + 1);
        assert!(greedy.contains("limits.give"), "{greedy}");
    }
}
