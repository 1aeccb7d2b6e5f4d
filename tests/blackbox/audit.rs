//! The audit log, as it is read: newest first, page by page, narrowed, and nobody's but one's own.

use crate::harness::{Api, Dev};
use serde_json::Value;

/// What an answer lists.
fn entries(api: &Api, query: &str) -> Vec<Value> {
    let answer = api.get(&format!("/v1/AuditLog{query}"));
    assert_eq!(answer.status, 200, "{query}: {answer:?}");
    answer.body["entries"].as_array().expect("a list").clone()
}

#[test]
fn what_was_done_is_read_newest_first_from_page_to_page() {
    let dev = Dev::start();
    let account = dev.other_account();
    let api = dev.api().of(account.clone());
    let names = ["one", "two", "three"];
    let made: Vec<String> =
        names.iter().map(|name| api.create("/v1/Keys", &[("FriendlyName", name)])).collect();
    let (mut path, mut seen) = ("/v1/AuditLog?PageSize=2&Action=create".to_owned(), Vec::new());
    loop {
        let page = api.get(&path);
        assert!(page.body["entries"].as_array().is_some_and(|entries| entries.len() <= 2), "{page:?}");
        seen.extend(page.body["entries"].as_array().expect("a list").clone());
        let Some(next) = page.body["meta"]["next_page_url"].as_str() else { break };
        assert!(next.contains("Action=create"), "{next}");
        path = next.to_owned();
    }
    let subjects: Vec<&str> =
        seen.iter().map(|entry| entry["subject_sid"].as_str().expect("a SID")).collect();
    assert_eq!(subjects[..3], [made[2].as_str(), &made[1], &made[0]]);
    // The account, its service and its environment.
    assert_eq!(subjects.len(), 6, "{subjects:?}");
    let newest = &seen[0];
    assert_eq!(
        (newest["credential"].as_str(), newest["address"].as_str()),
        (Some("auth_token_1"), Some("127.0.0.1"))
    );
    let shown = dev.cli_of(&account).run(&["audit", "--json", "--limit", "2"]).json();
    assert_eq!(shown["entries"].as_array().map(Vec::len), Some(2));
    assert_eq!(shown["entries"][0]["subject_sid"], made[2].as_str());
    let text = dev.cli_of(&account).run(&["audit", "--subject", &made[0]]).stdout;
    assert!(text.contains("create") && text.contains(&made[0]) && text.contains("auth_token_1"), "{text}");
}

#[test]
fn entries_are_narrowed_by_all_that_is_said_and_what_is_no_date_is_refused() {
    let dev = Dev::start();
    let api = dev.api();
    let key = api.create("/v1/Keys", &[]);
    assert_eq!(api.delete(&format!("/v1/Keys/{key}")).status, 204);
    let of_key = |more: &str| entries(&api, &format!("?SubjectSid={key}{more}")).len();
    assert_eq!(of_key(""), 2);
    assert_eq!(of_key("&Action=delete"), 1);
    assert_eq!(of_key("&Action=delete&Credential=auth_token_1"), 1);
    assert_eq!(of_key("&Credential=auth_token_2"), 0);
    assert_eq!((of_key("&StartDate=2020-01-01"), of_key("&EndDate=2020-01-01T00:00:00Z")), (2, 0));
    api.get("/v1/AuditLog?StartDate=yesterday").assert_refused(400, 20001, &["StartDate", "2026-01-31"]);
    let cli = dev.cli();
    let last = cli.run(&["audit", "--last", "1h", "--subject", &key, "--action", "delete", "--json"]).json();
    assert_eq!(last["entries"].as_array().map(Vec::len), Some(1));
}

#[test]
fn an_account_reads_its_own_entries_and_an_operator_all() {
    let dev = Dev::start();
    let (account, other) = (dev.other_account(), dev.other_account());
    let (operator, api) = (dev.api(), dev.api().of(account.clone()));
    let of = |entries: Vec<Value>| {
        let mut accounts: Vec<String> =
            entries.iter().map(|entry| entry["account_sid"].as_str().expect("a SID").to_owned()).collect();
        accounts.sort();
        accounts.dedup();
        accounts
    };
    assert_eq!(of(entries(&api, "")), [account.sid.as_str()]);
    assert_eq!(of(entries(&api, &format!("?AccountSid={}", account.sid))), [account.sid.as_str()]);
    api.get(&format!("/v1/AuditLog?AccountSid={}", other.sid)).assert_refused(404, 20404, &[]);
    assert_eq!(of(entries(&operator, "?PageSize=100")).len(), 3);
    assert_eq!(of(entries(&operator, &format!("?AccountSid={}", other.sid))), [other.sid.as_str()]);
    dev.cli_of(&account).refused(&["audit", "--of", &other.sid], &["no account"]);
    let shown = dev.cli().run(&["audit", "--of", &other.sid, "--json"]).json();
    assert_eq!(shown["entries"].as_array().map(Vec::len), Some(3), "account, service, environment");
}
