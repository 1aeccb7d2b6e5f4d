//! Black-box tests: the real program in processes of its own, real sockets, real clients.
//!
//! One binary, one file a feature. The tests know the command line, the `--json` lines, HTTP, gRPC and the data folder, and nothing of
//! the code, so that they would judge a rewrite too. Every test starts what it needs on ports that the system picks, in a folder of
//! its own; the whole suite may run twice at once. `SKERRY_TEST_FULL=1` runs the long repetitions.

mod harness;

mod access;
mod api;
mod caching;
mod crash;
mod dev;
mod environments;
mod http;
mod integrity;
mod layout;
mod lies;
mod publish;
mod refusals;
mod roles;
mod site_config;
mod sizes;
