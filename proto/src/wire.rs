//! The messages and services generated from `skerry/v1/*.proto`.
//!
//! These types are what travels, with every field optional and nothing checked. The modules beside this one turn them into
//! types whose values are valid; nothing else should look inside.

#![expect(
    missing_docs,
    clippy::too_many_lines,
    reason = "generated; the .proto files carry the documentation"
)]
#![allow(
    unreachable_pub,
    clippy::all,
    reason = "generated; which of these fire depends on the generator's version"
)]

tonic::include_proto!("skerry.v1");
