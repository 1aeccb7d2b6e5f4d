//! What an edge says of itself with its pings. It is shown to operators, and nothing is decided by it.

use skerry_proto::wire;

/// Figures of an edge, counted since its program started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) requests: u64,
    pub(crate) hits: u64,
    pub(crate) misses: u64,
    pub(crate) connections: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) disk_bytes: u64,
    pub(crate) uptime_seconds: u64,
}

/// No figure of an edge is greater: the greatest whole number that JSON carries everywhere (RFC 8259 §6).
const FIGURE_MAX: u64 = (1 << 53) - 1;

impl Figures {
    /// Figures as they came; `None` where they cannot be true.
    pub(crate) fn read(said: &wire::Figures) -> Option<Self> {
        let figures = Self {
            requests: said.requests,
            hits: said.hits,
            misses: said.misses,
            connections: said.connections,
            memory_bytes: said.memory_bytes,
            disk_bytes: said.disk_bytes,
            uptime_seconds: said.uptime_seconds,
        };
        let all = [
            said.requests,
            said.connections,
            said.memory_bytes,
            said.disk_bytes,
            said.uptime_seconds,
            said.hits.checked_add(said.misses)?,
        ];
        let is_possible = all.iter().all(|figure| *figure <= FIGURE_MAX);
        (is_possible && said.hits + said.misses <= said.requests).then_some(figures)
    }

    /// How many of the requests that needed slices were answered without an upstream, from 0 to 1; `None` before the first.
    pub(crate) fn hit_ratio(&self) -> Option<f64> {
        let needed = self.hits + self.misses;
        (needed > 0).then(|| self.hits as f64 / needed as f64)
    }
}

impl From<Figures> for wire::Figures {
    fn from(figures: Figures) -> Self {
        Self {
            requests: figures.requests,
            hits: figures.hits,
            misses: figures.misses,
            connections: figures.connections,
            memory_bytes: figures.memory_bytes,
            disk_bytes: figures.disk_bytes,
            uptime_seconds: figures.uptime_seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_that_cannot_be_true_are_not_taken() {
        let said = wire::Figures { requests: 10, hits: 6, misses: 2, ..wire::Figures::default() };
        let figures = Figures::read(&said).expect("possible");
        assert_eq!(figures.hit_ratio(), Some(0.75));
        assert_eq!(wire::Figures::from(figures), said);
        for wrong in [
            wire::Figures { hits: 9, ..said },
            wire::Figures { hits: u64::MAX, misses: 1, ..said },
            wire::Figures { memory_bytes: 1 << 53, ..said },
            wire::Figures { requests: u64::MAX, ..said },
        ] {
            assert_eq!(Figures::read(&wrong), None, "{wrong:?}");
        }
        assert_eq!(Figures::read(&wire::Figures::default()).expect("possible").hit_ratio(), None);
    }
}
