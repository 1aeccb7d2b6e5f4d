//! What an account proves itself with: API keys, auth tokens that are rotated, and accounts that take keys only.

use crate::harness::{Account, Api, Cli, Dev, Origin, Protocol};
use crate::protected::signed_get;

const SERVICES: &str = "/v1/Services";
const KEYS: &str = "/v1/Keys";

/// An API key, made over REST: what it is shown with.
fn key(api: &Api, name: &str) -> Account {
    let made = api.post(KEYS, &[("FriendlyName", name)]);
    assert_eq!((made.status, made.text("/friendly_name")), (201, name), "{made:?}");
    Account { sid: made.text("/sid").to_owned(), token: made.text("/secret").to_owned() }
}

fn says(cli: &Cli, arguments: &[&str], key: &str) -> String {
    let said = cli.run(arguments).json();
    said[key].as_str().unwrap_or_else(|| panic!("{key} in {said}")).to_owned()
}

#[test]
fn an_api_key_stands_for_its_account_over_rest_and_grpc_until_it_is_revoked() {
    let dev = Dev::start();
    let api = dev.api();
    let key = key(&api, "CI");
    assert!(key.sid.starts_with("SK") && key.sid.len() == 34, "{key:?}");
    let (by_key, cli) = (api.of(key.clone()), dev.cli_of(&key));
    assert_eq!(by_key.get(SERVICES).text("/services/0/account_sid"), dev.line().account().sid);
    cli.put("/a.txt", b"a");
    dev.site().until(Protocol::Http2, "/a.txt", 200);
    let entry = api.get("/v1/AuditLog?PageSize=1");
    assert_eq!(entry.text("/entries/0/credential"), key.sid, "{entry:?}");

    let mut wrong = key.clone();
    wrong.token = "0".repeat(64);
    api.of(wrong.clone()).get(SERVICES).assert_refused(401, 20003, &["Authenticate"]);
    dev.cli_of(&wrong).refused(&["ls"], &["auth token"]);
    // A key is no account, and the token of its account no secret of it.
    let token = dev.line().account().token;
    api.of(Account { token, ..key.clone() }).get(SERVICES).assert_refused(401, 20003, &[]);

    assert_eq!(api.delete(&format!("{KEYS}/{}", key.sid)).status, 204);
    by_key.get(SERVICES).assert_refused(401, 20003, &[]);
    cli.refused(&["ls"], &["auth token"]);
    api.delete(&format!("{KEYS}/{}", key.sid)).assert_refused(404, 20404, &[]);
}

#[test]
fn the_secret_of_a_key_is_said_once_and_kept_nowhere() {
    let dev = Dev::start();
    let api = dev.api();
    let (over_rest, cli) = (key(&api, "one"), dev.cli());
    let over_grpc = cli.run(&["key", "create", "--kind", "api", "--name", "two", "--json"]).json();
    let secret = over_grpc["secret"].as_str().expect("a secret");
    let listed = api.get(KEYS);
    assert_eq!((listed.text("/keys/0/friendly_name"), listed.text("/keys/1/friendly_name")), ("two", "one"));
    let shown = [
        listed.body.to_string(),
        api.get(&format!("{KEYS}/{}", over_rest.sid)).body.to_string(),
        cli.run(&["key", "ls", "--json"]).stdout,
    ];
    assert!(shown[2].contains(&over_rest.sid) && shown[2].contains("two"), "{}", shown[2]);
    for text in shown {
        assert!(!text.contains(secret) && !text.contains(&over_rest.token), "{text}");
    }
    for file in ["catalogue.sqlite", "catalogue.sqlite-wal"] {
        let bytes = std::fs::read(dev.data().join("origin").join(file)).unwrap_or_default();
        for secret in [secret, &over_rest.token] {
            assert!(memchr::memmem::find(&bytes, secret.as_bytes()).is_none(), "{file}");
        }
    }
    let renamed = api.post(&format!("{KEYS}/{}", over_rest.sid), &[("FriendlyName", "three")]);
    assert_eq!((renamed.status, renamed.text("/friendly_name")), (200, "three"));
    let long = "x".repeat(256);
    api.post(KEYS, &[("FriendlyName", &long)]).assert_refused(400, 20001, &["FriendlyName"]);
}

#[test]
fn keys_are_as_many_as_is_configured_and_of_their_account_alone() {
    let dev = Dev::with(&["--set", "origin.api.key_count_max=2"]);
    let api = dev.api();
    let first = key(&api, "one");
    key(&api, "two");
    api.post(KEYS, &[]).assert_refused(409, 20409, &["2"]);
    dev.cli().refused(&["key", "create", "--kind", "api"], &["2"]);
    dev.origin_figures().until("skerry_origin_api_key_refusals_total", &[], |count| count == 2.0);
    let other = dev.other_account();
    let theirs = api.of(other.clone());
    key(&theirs, "theirs");
    theirs.delete(&format!("{KEYS}/{}", first.sid)).assert_refused(404, 20404, &[]);
    dev.cli_of(&other).refused(&["key", "revoke", &first.sid], &["no token or key"]);
    dev.cli().run(&["key", "revoke", &first.sid]);
    key(&api, "in its place");
}

#[test]
fn an_account_that_takes_keys_only_refuses_its_token_everywhere_but_in_signatures() {
    let dev = Dev::start();
    let (api, cli, account) = (dev.api(), dev.cli(), dev.line().account());
    cli.write("p.txt", b"protected");
    cli.run(&["put", "p.txt", "--visibility", "protected", "--wait"]);
    let itself = format!("/v1/Accounts/{}", account.sid);
    assert_eq!(api.get(&itself).body["keys_only"], false);
    api.post(&itself, &[("KeysOnly", "true")]).assert_refused(409, 20409, &["API key", "create one first"]);
    cli.refused(&["account", "set", "--keys-only", "true"], &["no API key"]);
    assert_eq!(api.get(SERVICES).status, 200, "a refusal changes nothing");

    let key = key(&api, "the only one");
    let (by_key, key_cli) = (api.of(key.clone()), dev.cli_of(&key));
    key_cli.run(&["account", "set", "--keys-only", "true"]);
    assert_eq!(by_key.get(&itself).body["keys_only"], true);
    api.get(SERVICES).assert_refused(401, 20003, &["API keys only"]);
    cli.refused(&["ls"], &["API keys only"]);
    let wrong = api.of(Account { token: "0".repeat(32), ..account.clone() });
    wrong.get(SERVICES).assert_refused(401, 20003, &["Authenticate"]);
    key_cli.run(&["ls"]);
    let (site, path) = (dev.site(), "/p.txt");
    assert_eq!(signed_get(&site, Protocol::Http2, path, &account.token).status, 200, "it still signs");

    by_key.delete(&format!("{KEYS}/{}", key.sid)).assert_refused(409, 20409, &["only API key"]);
    key_cli.refused(&["key", "revoke", &key.sid], &["only API key"]);
    assert_eq!(by_key.post(&itself, &[("KeysOnly", "false")]).status, 200);
    assert_eq!(api.get(SERVICES).status, 200);
    assert_eq!(api.delete(&format!("{KEYS}/{}", key.sid)).status, 204);
}

#[test]
fn a_second_token_takes_the_place_of_the_first_while_signatures_of_both_are_right() {
    let dev = Dev::start();
    let (api, cli, account) = (dev.api(), dev.cli(), dev.line().account());
    cli.write("p.txt", b"protected");
    cli.run(&["put", "p.txt", "--visibility", "protected", "--wait"]);
    let (secondary, promote) = ("/v1/AuthTokens/Secondary", "/v1/AuthTokens/Promote");
    api.post(promote, &[]).assert_refused(409, 20409, &["one auth token"]);
    api.delete(secondary).assert_refused(404, 20404, &["one auth token"]);

    let made = api.post(secondary, &[]);
    assert_eq!((made.status, made.text("/role")), (201, "secondary"), "{made:?}");
    let token = made.text("/secondary_auth_token").to_owned();
    let second = api.of(Account { token: token.clone(), ..account.clone() });
    api.post(secondary, &[]).assert_refused(409, 20409, &["two auth tokens"]);
    let roles = second.get("/v1/AuthTokens");
    assert_eq!(
        (roles.text("/auth_tokens/0/role"), roles.text("/auth_tokens/1/role")),
        ("secondary", "primary")
    );
    assert_eq!(api.delete(secondary).status, 204);
    second.get(SERVICES).assert_refused(401, 20003, &[]);

    let token = api.post(secondary, &[]).text("/secondary_auth_token").to_owned();
    let second = api.of(Account { token: token.clone(), ..account.clone() });
    let site = dev.site();
    cli.put("/waits.txt", b"for every edge to know the second token");
    for token in [&account.token, &token] {
        assert_eq!(signed_get(&site, Protocol::Http1, "/p.txt", token).status, 200);
    }
    let promoted = second.post(promote, &[]);
    assert_eq!((promoted.status, promoted.text("/role")), (200, "primary"), "{promoted:?}");
    api.get(SERVICES).assert_refused(401, 20003, &[]);
    let after = cli.with("SKERRY_AUTH_TOKEN", &token);
    after.put("/waits.txt", b"for every edge to forget the first one");
    assert_eq!(signed_get(&site, Protocol::Http1, "/p.txt", &account.token).status, 403);
    assert_eq!(signed_get(&site, Protocol::Http1, "/p.txt", &token).status, 200);

    // The command line does the same, whichever slot is free.
    let third = says(&after, &["key", "token", "rotate", "--json"], "auth_token");
    let last = after.clone().with("SKERRY_AUTH_TOKEN", &third);
    last.run(&["key", "token", "promote", "--wait"]);
    after.refused(&["ls"], &["auth token"]);
    last.run(&["ls"]);
    last.refused(&["key", "token", "promote"], &["one auth token"]);
}

#[test]
fn an_account_sees_itself_and_an_operator_sees_all() {
    let dev = Dev::start();
    let (api, operator, other) = (dev.api(), dev.line().account(), dev.other_account());
    let theirs = api.of(other.clone());
    let listed = theirs.get("/v1/Accounts");
    assert_eq!(listed.body["accounts"].as_array().map(Vec::len), Some(1), "{listed:?}");
    assert_eq!(
        (listed.text("/accounts/0/sid"), &listed.body["accounts"][0]["is_operator"]),
        (other.sid.as_str(), &false.into())
    );
    assert_eq!(api.get("/v1/Accounts").body["accounts"].as_array().map(Vec::len), Some(2));
    theirs.get(&format!("/v1/Accounts/{}", operator.sid)).assert_refused(404, 20404, &[]);
    let path = format!("/v1/Accounts/{}", other.sid);
    assert_eq!(api.post(&path, &[("FriendlyName", "Radio")]).text("/friendly_name"), "Radio");
    assert_eq!(says(&dev.cli_of(&other), &["account", "show", "--json"], "friendly_name"), "Radio");
    assert_eq!(says(&dev.cli(), &["account", "show", &other.sid, "--json"], "account_sid"), other.sid);
    dev.cli_of(&other).refused(&["account", "show", &operator.sid], &["no account"]);
    let log = theirs.get("/v1/AuditLog?PageSize=1");
    assert_eq!((log.text("/entries/0/credential"), log.text("/entries/0/address")), ("operator", ""));
    assert_eq!(log.text("/entries/0/detail"), "friendly_name");
}

#[test]
fn who_has_the_machine_of_a_stopped_origin_gets_in_again() {
    let mut origin = Origin::start();
    let config = origin.data().with_file_name("origin.toml");
    let recover = ["origin", "recover", "--config", config.to_str().expect("UTF-8"), "--json"];
    let (cli, old) = (origin.cli(), origin.account().clone());
    cli.refused(&recover, &["data", "in use"]);

    // All there is to be lost: tokens that let nobody in, and a key that is gone.
    let key = cli.run(&["key", "create", "--kind", "api", "--json"]).json();
    cli.run(&["account", "set", "--keys-only", "true"]);
    cli.refused(&["ls"], &["API keys only"]);
    origin.stop();
    let unknown = [&recover[..], &["--account", "AC00000000000000000000000000000000"]].concat();
    cli.refused(&unknown, &["no account AC00000000000000000000000000000000"]);
    let first = cli.run(&recover).json();
    assert_eq!(
        (&first["account_sid"], &first["revoked_older_token"]),
        (&old.sid.clone().into(), &false.into())
    );
    let second = cli.run(&recover).json();
    assert_eq!(second["revoked_older_token"], true);

    origin.start_again();
    let with = |token: &serde_json::Value| {
        let token = token["auth_token"].as_str().expect("a token").to_owned();
        origin.cli_of(&Account { sid: old.sid.clone(), token })
    };
    with(&second).run(&["ls"]);
    // Two are valid: the newest, and the one before it.
    with(&first).run(&["ls"]);
    cli.refused(&["ls"], &["auth token"]);
    let key = |field: &str| key[field].as_str().expect("a text").to_owned();
    origin.cli_of(&Account { sid: key("id"), token: key("secret") }).run(&["ls"]);
    assert!(with(&second).run(&["audit", "--json"]).stdout.contains("auth_token_"));
}
