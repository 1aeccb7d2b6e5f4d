//! Where bytes come from, and what is stored: once at the origin, in two tiers at the edge.

use crate::harness::{Dev, Protocol, bytes, eventually, files_below, hash};

const SIZE: usize = 600_000;

#[test]
fn a_miss_becomes_a_memory_hit_and_after_a_restart_a_disk_hit() {
    let mut dev = Dev::start();
    let content = bytes(1, SIZE);
    dev.cli().put("/sound.mp3", &content);

    let first = dev.site().get(Protocol::Http1, "/sound.mp3");
    assert!(first.header("cache-status").starts_with("skerry; fwd=miss"), "{:?}", first.headers);
    assert!(first.header("cache-status").contains("stored"), "{:?}", first.headers);
    for protocol in Protocol::ALL {
        let again = dev.site().get(protocol, "/sound.mp3");
        assert_eq!(again.header("cache-status"), "skerry; hit; detail=memory", "{protocol}");
        assert!(again.body == content, "{protocol}");
    }

    // Everything is on its way to disk already; a clean stop waits for it.
    dev.restart();
    let from_disk = dev.site().get(Protocol::Http2, "/sound.mp3");
    assert_eq!(from_disk.header("cache-status"), "skerry; hit; detail=disk");
    assert!(from_disk.body == content);
    let from_memory = dev.site().get(Protocol::Http3, "/sound.mp3");
    assert_eq!(from_memory.header("cache-status"), "skerry; hit; detail=memory");
    let disk = [("cache", "disk"), ("protocol", "h2"), ("status_class", "2xx")];
    assert_eq!(dev.figures().metric("skerry_edge_requests_total", &disk), 1.0);
    assert_eq!(dev.figures().metric("skerry_edge_fill_slices_total", &[]), 0.0);
}

#[test]
fn what_is_on_disk_survives_a_kill_of_the_edge() {
    let mut dev = Dev::start();
    let content = bytes(2, SIZE);
    dev.cli().put("/sound.mp3", &content);
    dev.site().get(Protocol::Http1, "/sound.mp3");
    dev.figures().until("skerry_edge_cache_write_pending_bytes", &[], |bytes| bytes == 0.0);
    dev.kill_9();
    dev.start_again();
    let response = dev.site().get(Protocol::Http1, "/sound.mp3");
    assert!(response.body == content);
    assert!(
        ["skerry; hit; detail=disk", "skerry; fwd=miss; stored"].contains(&response.header("cache-status")),
        "{:?}",
        response.headers
    );
}

#[test]
fn many_who_miss_at_once_cause_one_fill() {
    let dev = Dev::start();
    let content = bytes(3, SIZE);
    dev.cli().put("/sound.mp3", &content);
    let before = dev.figures().metric("skerry_edge_fill_slices_total", &[]);
    std::thread::scope(|scope| {
        for number in 0..12 {
            let (site, content) = (dev.site(), &content);
            scope.spawn(move || {
                let protocol = Protocol::ALL[number % 3];
                assert!(site.get(protocol, "/sound.mp3").body == *content, "{protocol}");
            });
        }
    });
    assert_eq!(dev.figures().metric("skerry_edge_fill_slices_total", &[]) - before, 3.0);
}

#[test]
fn the_same_bytes_put_twice_are_stored_once() {
    let dev = Dev::start();
    let content = bytes(4, SIZE);
    let name = hash(&content);
    let stored = || {
        let blobs = files_below(&dev.data().join("origin/blobs"));
        blobs.into_iter().filter(|path| path.file_name().is_some_and(|file| file == name.as_str())).count()
    };
    dev.cli().put("/one.bin", &content);
    assert_eq!(stored(), 1);
    let bytes_before = size_of_blobs(&dev);
    dev.cli().put("/two.bin", &content);
    dev.cli().put("/one.bin", &content);
    assert_eq!(stored(), 1);
    // What is new are manifests and histories, which are small.
    assert!(size_of_blobs(&dev) - bytes_before < 10_000);
    for path in ["/one.bin", "/two.bin"] {
        assert!(dev.site().get(Protocol::Http1, path).body == content);
    }
    // And the edge keeps it once: the second path is a hit.
    assert_eq!(
        dev.site().get(Protocol::Http1, "/two.bin").header("cache-status"),
        "skerry; hit; detail=memory"
    );
}

#[test]
fn a_changed_file_shows_its_new_bytes_when_put_returns() {
    let dev = Dev::with(&["--edges", "2"]);
    for round in 0..5_u8 {
        let content = vec![round; 10_000];
        dev.cli().put("/changing.bin", &content);
        for edge in 0..2 {
            for protocol in Protocol::ALL {
                let response = dev.edge(edge).get(protocol, "/changing.bin");
                assert!(response.body == content, "round {round}, edge {edge}, {protocol}");
            }
        }
    }
}

#[test]
fn nothing_temporary_stays_after_uploads() {
    let dev = Dev::start();
    dev.cli().put("/one.bin", &bytes(5, SIZE));
    eventually("no temporary file", || {
        files_below(&dev.data().join("origin/blobs/tmp")).is_empty().then_some(())
    });
}

fn size_of_blobs(dev: &Dev) -> u64 {
    let blobs = files_below(&dev.data().join("origin/blobs"));
    blobs.iter().filter_map(|path| path.metadata().ok()).map(|metadata| metadata.len()).sum()
}
