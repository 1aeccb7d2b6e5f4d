//! Black-box tests: the real program in processes of its own, real sockets, real clients.
//!
//! One binary, one file a feature. The tests know the command line, the `--json` lines, HTTP, gRPC and the data folder, and nothing of
//! the code, so that they would judge a rewrite too. Every test starts what it needs on ports that the system picks, in a folder of
//! its own; the whole suite may run twice at once. `SKERRY_TEST_FULL=1` runs the long repetitions.

mod harness;

mod access;
mod accounts;
mod api;
mod audit;
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
mod digests;
mod documents;
mod domains;
mod environments;
mod fleet;
mod floods;
mod folders;
mod http;
mod integrity;
mod keys;
mod known_bytes;
mod late_forms;
mod layout;
mod lies;
mod limits;
mod methods;
mod negotiation;
mod openapi;
mod outage;
mod protected;
mod publish;
mod purge;
mod quotas;
mod ranges;
mod refusals;
mod response_headers;
mod rest_crash;
mod roles;
mod services;
mod signed_urls;
mod site_config;
mod site_rules;
mod sizes;
mod slow;
mod smuggling;
mod targets;
mod tiers;
mod tiers_faults;
mod tiers_trust;
mod trust;
mod twilio;
mod verify;
mod warm;
