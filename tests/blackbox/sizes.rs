//! Bytes arrive as they were put, whatever their number, over each protocol.

use crate::harness::{Dev, Protocol, Response, bytes, hash};

/// A slice of the shared format: the boundary where lists begin.
const SLICE: usize = 262_144;

#[track_caller]
fn assert_whole(response: &Response, content: &[u8], what: &str) {
    assert_eq!(response.status, 200, "{what}");
    assert_eq!(response.header("content-length"), content.len().to_string(), "{what}");
    assert_eq!(response.header("etag"), format!("\"{}\"", hash(content)), "{what}");
    assert!(response.body == content, "{what}: other bytes than were put");
}

#[test]
fn every_size_around_a_slice_arrives_whole_over_each_protocol() {
    let dev = Dev::start();
    let cli = dev.cli();
    let sizes = [0, 1, SLICE - 1, SLICE, SLICE + 1, 2 * SLICE, 3 * SLICE + 7];
    let files: Vec<(String, _)> =
        sizes.iter().map(|&size| (format!("size-{size}.bin"), bytes(size as u64, size))).collect();
    let paths: Vec<_> = files.iter().map(|(name, content)| cli.write(name, content)).collect();
    let mut arguments = vec!["put", "--wait"];
    arguments.extend(paths.iter().map(|path| path.to_str().expect("UTF-8")));
    cli.run(&arguments);

    for (name, content) in &files {
        // Twice: once filled from the origin, once from memory.
        for protocol in Protocol::ALL.into_iter().cycle().take(6) {
            let what = format!("{name} over {protocol}");
            let response = dev.site().get(protocol, &format!("/{name}"));
            assert_whole(&response, content, &what);
            assert_eq!(response.header("content-type"), "application/octet-stream", "{what}");

            let head = dev.site().ask(protocol, &format!("/{name}")).method("HEAD").send();
            assert_eq!(head.status, 200, "HEAD of {what}");
            assert_eq!(head.header("content-length"), content.len().to_string(), "HEAD of {what}");
            assert_eq!(head.header("etag"), response.header("etag"), "HEAD of {what}");
            assert!(head.body.is_empty(), "HEAD of {what}");
        }
    }
}

#[test]
fn a_hundred_megabytes_arrive_whole_over_each_protocol() {
    let dev = Dev::start();
    let content = bytes(100, 104_857_600);
    dev.cli().put("/large.mp3", &content);
    for protocol in Protocol::ALL {
        let response = dev.site().get(protocol, "/large.mp3");
        assert_whole(&response, &content, &protocol.to_string());
        assert_eq!(response.header("content-type"), "audio/mpeg", "{protocol}");

        // Across the boundary of two slices, in the middle.
        let (from, to) = (200 * SLICE - 3, 200 * SLICE + 4);
        let range =
            dev.site().ask(protocol, "/large.mp3").header("range", &format!("bytes={from}-{to}")).send();
        assert_eq!(range.status, 206, "{protocol}");
        assert_eq!(range.header("content-range"), format!("bytes {from}-{to}/104857600"), "{protocol}");
        assert_eq!(range.body, content[from..=to], "{protocol}");
    }
    assert_eq!(dev.figures().metric("skerry_edge_fill_errors_total", &[]), 0.0);
}

#[test]
fn an_empty_asset_asks_the_origin_for_nothing() {
    let dev = Dev::start();
    dev.cli().put("/empty.txt", b"");
    let before = dev.figures().metric("skerry_edge_fill_slices_total", &[]);
    for protocol in Protocol::ALL {
        assert_whole(&dev.site().get(protocol, "/empty.txt"), b"", &protocol.to_string());
    }
    assert_eq!(dev.figures().metric("skerry_edge_fill_slices_total", &[]), before);
}
