//! What both roles of Skerry agree on: names, rules, formats, signatures, and the generated wire types.
//!
//! Everything here is pure: no sockets, no files, no clock. Functions that depend on the time take it as an argument, so that
//! origin, edge and tests decide alike. In reading order:
//!
//! - [`hash`], [`slices`]: what a blob is, and how each part of it is verified
//! - [`path`], [`visibility`]: what an asset is called and who may have it
//! - [`document`]: the frame of every stored or sent format
//! - [`paging`], [`manifest`], [`rules`], [`history`]: what a build shows
//! - [`signature`], [`pointer`]: what an environment shows, and the proof; [`key_chain`]: how one set of keys follows another
//! - [`proof`]: what stands at a path, for whoever trusts the keys alone
//! - [`domain`]: which further names an environment may have, and how they are proven
//! - [`digest`]: what a sender says of the bytes that it sends
//! - [`hmac`], [`twilio`], [`signed_url`]: who may fetch what is protected
//! - [`bundle`]: the private assets of a build, and the proof
//! - [`authority`], [`join`], [`renewal`]: certificates, how a machine becomes an edge, and stays one
//! - [`inspect`]: what somebody should know of a file before it is published
//! - [`recent`]: a bounded map, for those who remember
//! - [`wire`]: the code generated from `skerry/v1/*.proto`

pub mod authority;
pub mod bundle;
pub mod digest;
pub mod document;
pub mod domain;
pub mod hash;
pub mod history;
pub mod hmac;
pub mod inspect;
pub mod join;
pub mod key_chain;
pub mod manifest;
pub mod paging;
pub mod path;
pub mod pointer;
pub mod proof;
pub mod purged;
pub mod recent;
pub mod renewal;
pub mod rules;
pub mod signature;
pub mod signed_url;
pub mod slices;
pub mod twilio;
pub mod visibility;
pub mod wire;
