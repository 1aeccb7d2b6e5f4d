//! Micro-benchmarks of the hot pieces: what one slice, one lookup, one list costs, without sockets.
//!
//! `cargo bench -p skerry-benches` measures; an argument chooses by name: `cargo bench -p skerry-benches -- slice`. Under
//! `cargo test --all-targets` each piece runs once, which only shows that it runs.

mod access;
mod allocations;
mod cache;
mod connections;
mod harness;
mod held;
mod manifest;
mod response;
mod slices;

use harness::Bench;

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

fn main() -> anyhow::Result<()> {
    let mut bench = Bench::from_arguments(std::env::args().skip(1));
    connections::run(&mut bench)?;
    slices::run(&mut bench)?;
    manifest::run(&mut bench)?;
    cache::run(&mut bench)?;
    response::run(&mut bench)?;
    access::run(&mut bench)?;
    // Last, because counting bytes costs time.
    held::run(&bench)?;
    Ok(())
}
