//! The settings of a development server: those of both roles, under `origin.` and `edge.`, without what the server decides itself.

use super::layers::{self, Fault};
use super::{ConfigOptions, EdgeSettings, OriginSettings, Table, edge, origin, print};
use crate::environment::Environment;
use crate::failure::Failure;

/// What can be set of the roles.
#[derive(Debug, Clone)]
pub(crate) struct DevSettings {
    pub(crate) origin: OriginSettings,
    /// For each of the edges.
    pub(crate) edge: EdgeSettings,
}

const DATA: &str = "skerry dev keeps everything in one folder; use --data DIR";
const CERTIFICATE: &str = "skerry dev makes the certificates of its edges";
const API: &str = "the API of skerry dev answers plain HTTP, on loopback only";
const HSTS: &str =
    "skerry dev says nothing of HSTS, which would close localhost to plain HTTP in your browser";
const JOIN: &str = "skerry dev joins its edges to its origin";

const TIERS: &str =
    "the edges of skerry dev ask its origin alone; try shields and neighbours with `skerry edge`";

const ORIGIN: Table<OriginSettings> = Table {
    settings: &[origin::SETTINGS],
    prefix: "origin.",
    variables: origin::VARIABLES,
    fixed: &[
        ("data", DATA),
        ("grpc.addresses", "use --grpc ADDR"),
        ("grpc.names", "skerry dev covers localhost and the address of --grpc"),
        ("api.addresses", "use --api ADDR"),
        ("api.certificate", API),
        ("api.key", API),
        ("insecure", API),
        ("base_domain", "skerry dev gives names under localhost and skerry.localhost"),
        ("public_port", "skerry dev uses the port of --https"),
        ("admin.addresses", "use --origin-admin ADDR"),
    ],
    defaults: &[],
};

const EDGE: Table<EdgeSettings> = Table {
    settings: edge::ALL,
    prefix: "edge.",
    variables: edge::VARIABLES,
    fixed: &[
        ("data", DATA),
        ("name", "skerry dev calls its edges edge-1, edge-2 and so on"),
        ("https.addresses", "use --https ADDR"),
        ("https.certificate", CERTIFICATE),
        ("https.key", CERTIFICATE),
        ("https.names", CERTIFICATE),
        ("https.public_port", "skerry dev uses the port of --https"),
        ("https.hsts_max_age", HSTS),
        ("https.hsts_include_subdomains", HSTS),
        ("https.hsts_preload", HSTS),
        ("origin.url", JOIN),
        ("origin.join_token", JOIN),
        ("origin.join_token_file", JOIN),
        ("admin.addresses", "use --admin ADDR"),
        ("fill.addresses", TIERS),
        ("upstreams", TIERS),
        ("neighbours", TIERS),
        ("lease_seconds", "skerry dev uses origin.lease_seconds for its edges too"),
    ],
    // A machine for development has other things to do than to cache; and Ctrl-C should not take half a minute.
    defaults: &[("cache.memory_size", "64MiB"), ("cache.disk_size", "1GiB"), ("drain_seconds", "5")],
};

/// Settings of `skerry dev`. `None`: they were asked for, and are printed.
///
/// # Errors
/// All faults at once, as a failure of usage.
pub(crate) fn load(
    options: &ConfigOptions,
    environment: &Environment,
) -> Result<Option<DevSettings>, Failure> {
    let mut faults = Vec::new();
    let raws = layers::gather(options, environment, &[ORIGIN.variables, EDGE.variables], &mut faults)?;
    let mut settings = DevSettings { origin: OriginSettings::blank(), edge: EdgeSettings::blank() };
    let mut effective = ORIGIN.resolve(&raws, &mut settings.origin, &mut faults);
    effective.extend(EDGE.resolve(&raws, &mut settings.edge, &mut faults));
    let known: Vec<String> = [ORIGIN.keys(), EDGE.keys()].concat();
    for raw in raws.iter().filter(|raw| !ORIGIN.owns(raw) && !EDGE.owns(raw)) {
        faults.push(Fault::unknown(raw, &known, "", ""));
    }
    layers::refuse(faults)?;
    settings.edge.lease = settings.origin.role.edges.lease;
    if options.print_config {
        crate::output::line(print::as_toml(&effective))?;
        return Ok(None);
    }
    Ok(Some(settings))
}
