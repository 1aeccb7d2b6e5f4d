//! Black-box tests: the real program in processes of its own, real sockets, real clients.
//!
//! One binary, one file a feature. The tests know the command line, the `--json` lines, HTTP, gRPC and the data folder, and nothing of
//! the code, so that they would judge a rewrite too. Every test starts what it needs on ports that the system picks, in a folder of
//! its own; the whole suite may run twice at once. `SKERRY_TEST_FULL=1` runs the long repetitions.

mod harness;

mod access;
mod api;
mod bundle;
mod by_hash;
mod cache_disk;
mod cache_restart;
mod caching;
mod coalescing;
mod conditionals;
mod console;
mod crash;
mod dev;
mod environments;
mod floods;
mod folders;
mod http;
mod integrity;
mod keys;
mod layout;
mod lies;
mod limits;
mod methods;
mod negotiation;
mod outage;
mod protected;
mod publish;
mod ranges;
mod refusals;
mod response_headers;
mod roles;
mod signed_urls;
mod site_config;
mod site_rules;
mod sizes;
mod slow;
mod smuggling;
mod twilio;
mod verify;
