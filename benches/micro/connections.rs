//! What following the bytes of a connection costs, beside what the HTTP libraries do with them: for each request, whatever it is for.

use crate::harness::{Bench, Unit};
use anyhow::Context;
use skerry_edge::listen::framing::{Framing, HeadLimits};
use skerry_edge::listen::{frames, h3_frames};
use std::hint::black_box;

/// As a browser asks for a script.
const HEAD: &[u8] = b"GET /assets/app-4f9c2a1b.js HTTP/1.1\r\n\
Host: default-1234.cdn.example.com\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36\r\n\
Accept: */*\r\n\
Accept-Language: en-US,en;q=0.9\r\n\
Accept-Encoding: gzip, deflate, br, zstd\r\n\
Referer: https://default-1234.cdn.example.com/\r\n\
Sec-Fetch-Dest: script\r\n\
Sec-Fetch-Mode: no-cors\r\n\
Sec-Fetch-Site: same-origin\r\n\
Connection: keep-alive\r\n\r\n";

/// As a load generator asks.
const SHORT_HEAD: &[u8] = b"GET /1k.bin HTTP/1.1\r\nHost: localhost:8443\r\n\r\n";

/// Bytes of a field block of the same request.
const BLOCK_SIZE: usize = 300;

pub(crate) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let limits = HeadLimits { target_size_max: 8 << 10, head_size_max: 16 << 10 };
    for (name, head) in
        [("HTTP/1.1 guard, head of a browser", HEAD), ("HTTP/1.1 guard, shortest head", SHORT_HEAD)]
    {
        let mut framing = Framing::new(limits);
        anyhow::ensure!(framing.advance(head).is_ok(), "a head without fault");
        bench.run(name, Unit::Bytes(head.len() as u64), || framing.advance(black_box(head)).is_ok());
    }

    // HEADERS, and the update of a window that comes with the answer before.
    let size = u8::try_from(BLOCK_SIZE >> 8).context("a small block")?;
    let headers = [&[0, size, BLOCK_SIZE as u8, 1, 5, 0, 0, 0, 1][..], &[0x55; BLOCK_SIZE]].concat();
    let request = [&headers[..], &[0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 4, 0]].concat();
    let mut followed = frames::Frames::new(4096);
    followed.advance(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    bench.run("HTTP/2 frames of one request", Unit::Once, || {
        followed.note_sent(2000);
        followed.advance(black_box(&request))
    });

    let request = [&[1, 0x40 | size, BLOCK_SIZE as u8][..], &[0x55; BLOCK_SIZE]].concat();
    bench.run("HTTP/3 frames of one request", Unit::Once, || {
        h3_frames::Frames::of_request(16 << 10).advance(black_box(&request))
    });
    Ok(())
}
