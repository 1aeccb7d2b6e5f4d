//! A place of three edges behind a shield, each of which is killed and paused in turn, and the origin too: no request fails for what
//! can be had, and all bytes are right.

use crate::harness::{Edge, Origin, Protocol, Random, bytes, full};
use crate::tiers::{GIVES, place};
use bytes::Bytes;
use std::time::{Duration, Instant};

const FILES: u64 = 20;
const SIZE: usize = 300_000;

/// How long a client may wait for a small file while something is away: what a neighbour and a shield may take, the connection to
/// the next one, and a busy machine.
const WAIT_MAX: Duration = Duration::from_secs(12);

struct Scene {
    origin: Origin,
    shield: Edge,
    edges: Vec<Edge>,
    random: Random,
    /// Numbers of files so far.
    made: u64,
}

impl Scene {
    fn start() -> Self {
        let origin = Origin::start();
        let shield = Edge::join_set(&origin, &[GIVES]);
        let edges = place(&origin, 3, &[&format!("upstreams={}", shield.fill_address())]);
        Self { origin, shield, edges, random: Random::printed("who asks whom for what"), made: 0 }
    }

    /// Publishes files that nobody has asked for yet.
    fn publish(&mut self) -> Vec<(String, Bytes)> {
        let numbers = self.made..self.made + FILES;
        self.made += FILES;
        let files: Vec<_> = numbers.map(|number| (format!("/{number}.bin"), bytes(number, SIZE))).collect();
        for (path, content) in &files {
            self.origin.cli().write(&format!("site{path}"), content);
        }
        self.origin.cli().run(&["put", "site", "--wait"]);
        files
    }

    /// Clients of these edges ask for all files in any order, while `fault` happens among them. No request fails.
    fn load(&mut self, edges: &[usize], files: &[(String, Bytes)], fault: impl FnOnce(&mut Self)) {
        let sites: Vec<_> = edges.iter().map(|edge| self.edges[*edge].site(self.origin.domain())).collect();
        let rounds = if full() { 20 } else { 2 };
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..6)
                .map(|client| {
                    let (site, start) =
                        (sites[client % sites.len()].clone(), self.random.below(FILES) as usize);
                    scope.spawn(move || {
                        let mut slowest = Duration::ZERO;
                        for (number, (path, content)) in
                            files.iter().cycle().skip(start).take(rounds * files.len()).enumerate()
                        {
                            let began = Instant::now();
                            let protocol = Protocol::ALL[(client + number) % 3];
                            let response = site.get(protocol, path);
                            assert_eq!(response.status, 200, "{path} over {protocol}: {}", response.text());
                            assert!(response.body == *content, "{path} over {protocol}");
                            slowest = slowest.max(began.elapsed());
                        }
                        slowest
                    })
                })
                .collect();
            fault(self);
            let slowest = clients.into_iter().map(|client| client.join().expect("no failed request")).max();
            println!("the slowest answer took {slowest:?}");
            assert!(slowest.unwrap_or_default() < WAIT_MAX, "{slowest:?}");
        });
    }
}

#[test]
fn a_shield_that_is_paused_and_killed_costs_no_request() {
    let mut scene = Scene::start();
    let files = scene.publish();
    scene.load(&[0, 1, 2], &files, |scene| scene.shield.pause());
    scene.shield.resume();
    let files = scene.publish();
    scene.load(&[0, 1, 2], &files, |scene| scene.shield.kill_9());
}

#[test]
fn a_neighbour_that_is_paused_and_killed_costs_the_others_no_request() {
    let mut scene = Scene::start();
    for victim in 0..3 {
        let others: Vec<_> = (0..3).filter(|edge| *edge != victim).collect();
        let files = scene.publish();
        scene.load(&others, &files, |scene| scene.edges[victim].pause());
        scene.edges[victim].resume();
        let files = scene.publish();
        scene.load(&others, &files, |scene| scene.edges[victim].kill_9());
        scene.edges[victim].start_again();
        for edge in &scene.edges {
            edge.figures().until("skerry_edge_neighbours", &[], |known| known == 2.0);
            edge.figures().until("skerry_edge_upstream_benched", &[], |benched| benched == 0.0);
        }
    }
}

/// What one of a place has, all of it have.
#[test]
fn with_the_origin_paused_and_killed_a_place_serves_what_its_edges_hold_together() {
    let mut scene = Scene::start();
    let files = scene.publish();
    // Each file is asked of one edge only; the others have what they own of it.
    for (number, (path, content)) in files.iter().enumerate() {
        let response = scene.edges[number % 3].site(scene.origin.domain()).get(Protocol::Http2, path);
        assert!(response.body == *content);
    }
    scene.origin.pause();
    scene.load(&[0, 1, 2], &files, |_| {});
    scene.origin.resume();
    scene.origin.kill_9();
    scene.shield.kill_9();
    scene.load(&[0, 1, 2], &files, |_| {});
}
