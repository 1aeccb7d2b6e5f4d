//! Layers, faults and printing, on the real tables.

use super::*;
use std::time::Duration;

fn options(set: &[&str]) -> ConfigOptions {
    ConfigOptions { set: set.iter().map(|&set| set.to_owned()).collect(), ..ConfigOptions::default() }
}

fn with_file(text: &str, set: &[&str]) -> (tempfile::TempDir, ConfigOptions) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("skerry.toml");
    std::fs::write(&path, text).expect("writes");
    (folder, ConfigOptions { config: Some(path), ..options(set) })
}

fn origin(options: &ConfigOptions, variables: &[(&str, &str)]) -> OriginSettings {
    load_origin(options, &Environment::of(variables)).expect("good").expect("not printed")
}

#[test]
fn a_flag_is_above_the_environment_above_the_file_above_the_default() {
    let (_folder, file) = with_file(
        "[limits]\nserved_size_max = \"1MiB\"\nserved_count_max = 7\nprivate_count_max = 3\n",
        &["limits.served_size_max=3MiB"],
    );
    let variables =
        [("SKERRY_ORIGIN_LIMITS_SERVED_SIZE_MAX", "2MiB"), ("SKERRY_ORIGIN_LIMITS_SERVED_COUNT_MAX", "8")];
    let limits = origin(&file, &variables).role.limits;
    assert_eq!(limits.served_size_max, 3 << 20);
    assert_eq!(limits.served_count_max, 8);
    assert_eq!(limits.private_count_max, 3);
    assert_eq!(limits.private_size_max, 5_242_880);
}

#[test]
fn the_defaults_are_those_of_the_roles() {
    let settings = origin(&options(&[]), &[]);
    assert_eq!(settings.role.limits, skerry_origin::Limits::default());
    let edge = load_edge(&options(&["origin.url=https://o:8081"]), &Environment::default());
    let edge = edge.expect("good").expect("not printed");
    assert_eq!(edge.limits.idle_time_max, Duration::from_secs(75));
    assert_eq!(edge.cache.memory_size, skerry_edge::config::CacheConfig::default().memory_size);
    assert!(edge.worker_count >= 1);
}

#[test]
fn preload_needs_what_the_lists_of_browsers_ask_for() {
    let edge = |set: &[&str]| {
        let set = [&["origin.url=https://o:8081", "https.hsts_preload=true"], set].concat();
        load_edge(&options(&set), &Environment::default())
    };
    let year = "https.hsts_max_age=31536000";
    let fit = edge(&[year, "https.hsts_include_subdomains=true"]).expect("good").expect("not printed");
    assert!(fit.serve.hsts.preload && fit.serve.hsts.include_subdomains);
    for unfit in [&[][..], &[year], &["https.hsts_max_age=31535999", "https.hsts_include_subdomains=true"]] {
        let error = edge(unfit).expect_err("not fit").to_string();
        assert!(error.contains("https.hsts_preload = true needs"), "{error}");
    }
}

#[test]
fn a_development_server_takes_no_hsts() {
    let error = load_dev(&options(&["edge.https.hsts_max_age=60"]), &Environment::default());
    let error = error.expect_err("it is fixed").to_string();
    assert!(error.contains("edge.https.hsts_max_age") && error.contains("HSTS"), "{error}");
}

#[test]
fn all_faults_are_reported_at_once_with_key_value_and_what_is_accepted() {
    let (_folder, file) = with_file(
        "grpc.adresses = [\"[::]:8081\"]\nlease_seconds = 0\n",
        &["limits.served_size_max=big", "oops"],
    );
    let error = load_origin(&file, &Environment::of(&[("SKERRY_ORIGIN_BASE_DOMIAN", "x")]))
        .expect_err("faults")
        .to_string();
    for part in [
        "unknown key grpc.adresses = \"[::]:8081\"",
        "did you mean grpc.addresses?",
        "skerry.toml",
        "lease_seconds = \"0\"",
        "from 1 to 86400",
        "limits.served_size_max = \"big\" (--set)",
        "64MiB",
        "--set oops: it is written KEY=VALUE",
        "unknown environment variable SKERRY_ORIGIN_BASE_DOMIAN; did you mean SKERRY_ORIGIN_BASE_DOMAIN?",
    ] {
        assert!(error.contains(part), "{part:?} in {error}");
    }
}

#[test]
fn a_file_that_is_no_toml_or_not_there_is_named() {
    let (_folder, file) = with_file("a = = 1", &[]);
    let error = load_origin(&file, &Environment::default()).expect_err("no TOML").to_string();
    assert!(error.contains("skerry.toml is not TOML"), "{error}");
    let missing = ConfigOptions { config: Some("/nowhere.toml".into()), ..options(&[]) };
    let error = load_origin(&missing, &Environment::default()).expect_err("missing").to_string();
    assert!(error.contains("/nowhere.toml"), "{error}");
}

#[test]
fn an_edge_without_an_origin_or_with_half_a_certificate_is_refused() {
    let error = load_edge(&options(&["https.key=k.pem"]), &Environment::default()).expect_err("faults");
    let error = error.to_string();
    assert!(error.contains("origin.url is needed") && error.contains("belong together"), "{error}");
}

#[test]
fn a_secret_is_in_no_message_and_not_printed() {
    let set = ["origin.url=https://o:1", "origin.join_token=hunter2"];
    let error = load_edge(&options(&set), &Environment::default()).expect_err("no token").to_string();
    assert!(error.contains("origin.join_token") && !error.contains("hunter2"), "{error}");
}

#[test]
fn dev_takes_the_keys_of_both_roles_and_refuses_what_it_decides() {
    let set = ["origin.limits.served_size_max=1MiB", "edge.cache.memory_size=8MiB", "origin.lease_seconds=3"];
    let settings = load_dev(&options(&set), &Environment::of(&[("SKERRY_EDGE_WORKERS", "3")]));
    let settings = settings.expect("good").expect("not printed");
    assert_eq!(settings.origin.role.limits.served_size_max, 1 << 20);
    assert_eq!((settings.edge.cache.memory_size, settings.edge.cache.disk_size), (8 << 20, 1 << 30));
    assert_eq!((settings.edge.worker_count, settings.edge.lease), (3, Duration::from_secs(3)));

    let set = ["edge.data=/tmp/x", "limits.served_size_max=1", "origin.limits.served_sise_max=1"];
    let error = load_dev(&options(&set), &Environment::default()).expect_err("faults").to_string();
    for part in [
        "edge.data (--set): skerry dev keeps everything in one folder; use --data DIR",
        "unknown key limits.served_size_max",
        "did you mean origin.limits.served_size_max?",
    ] {
        assert!(error.contains(part), "{part:?} in {error}");
    }
}

#[test]
fn what_is_printed_is_a_configuration_that_gives_the_same_settings() {
    let set =
        ["grpc.addresses=127.0.0.1:1,[::1]:1", "base_domain=cdn.example.com", "limits.served_size_max=7MiB"];
    let table = Table {
        settings: &[origin::SETTINGS],
        prefix: "",
        variables: origin::VARIABLES,
        fixed: &[],
        defaults: &[],
    };
    let raws =
        layers::gather(&options(&set), &Environment::default(), &[], &mut Vec::new()).expect("gathers");
    let mut first = OriginSettings::blank();
    let printed = print::as_toml(&table.resolve(&raws, &mut first, &mut Vec::new()));
    for setting in origin::SETTINGS {
        assert!(
            printed.contains(setting.doc) && printed.contains(&format!("\n{} = ", setting.name)),
            "{}",
            setting.name
        );
    }
    let (_folder, file) = with_file(&printed, &[]);
    let again = self::origin(&file, &[]);
    assert_eq!(format!("{first:?}"), format!("{again:?}"));
}

#[test]
fn every_default_is_accepted_and_every_key_has_a_variable_of_its_own() {
    let printing = ConfigOptions { print_config: false, ..options(&["origin.url=https://o:1"]) };
    load_edge(&printing, &Environment::default()).expect("every default of an edge");
    let mut variables: Vec<String> =
        edge::ALL.iter().copied().flatten().map(|setting| setting.name.replace('.', "_")).collect();
    let count = variables.len();
    variables.sort();
    variables.dedup();
    assert_eq!(variables.len(), count);
}
