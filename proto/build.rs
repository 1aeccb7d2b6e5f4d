//! Compiles the `.proto` files with a pure-Rust compiler, so that no system `protoc` is needed.

use std::error::Error;

const FILES: [&str; 13] = [
    "skerry/v1/blob.proto",
    "skerry/v1/pointer.proto",
    "skerry/v1/manifest.proto",
    "skerry/v1/watch.proto",
    "skerry/v1/fill.proto",
    "skerry/v1/enrol.proto",
    "skerry/v1/bundle.proto",
    "skerry/v1/publish.proto",
    "skerry/v1/account.proto",
    "skerry/v1/keys.proto",
    "skerry/v1/names.proto",
    "skerry/v1/edge.proto",
    "skerry/v1/purge.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    for file in FILES {
        println!("cargo:rerun-if-changed={file}");
    }
    let descriptors = protox::compile(FILES, ["."])?;
    tonic_prost_build::configure().bytes(".").compile_fds(descriptors)?;
    Ok(())
}
