//! `skerry audit`: who did what to what, when and from where.

use super::span;
use crate::client::{Client, OriginOptions};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::output::{self, plain};
use serde_json::{Value, json};
use skerry_proto::wire;
use std::time::{SystemTime, UNIX_EPOCH};

/// Which entries.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  skerry audit
  skerry audit --last 7d --action delete --json

An operator sees the entries of all accounts, and narrows them with --of.")]
pub(crate) struct Options {
    /// Only this action: create, update or delete
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// Only what was done to this
    #[arg(long, value_name = "SID")]
    subject: Option<String>,
    /// Only what was done with this credential: auth_token_1, auth_token_2 or the SID of an API key
    #[arg(long, value_name = "NAME")]
    credential: Option<String>,
    /// Only entries of so long until now, such as 1h or 7d
    #[arg(long, value_name = "TIME", value_parser = span::seconds::<36_500>)]
    last: Option<u32>,
    /// Only entries of this account
    #[arg(long, value_name = "SID")]
    of: Option<String>,
    /// Entries at most, the newest ones
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    origin: OriginOptions,
}

/// Entries that are asked for at once.
const PAGE_SIZE: u64 = 1000;

/// Runs the command.
pub(crate) async fn run(options: Options, environment: &Environment) -> Result<(), Failure> {
    let client = Client::connect(&options.origin, environment).await?;
    let from = options.last.map_or(0, |seconds| now().saturating_sub(seconds.into()));
    let mut request = wire::ListAuditLogRequest {
        action: options.action.unwrap_or_default(),
        subject_sid: options.subject.unwrap_or_default(),
        credential: options.credential.unwrap_or_default(),
        account_sid: options.of.unwrap_or_default(),
        from,
        ..wire::ListAuditLogRequest::default()
    };
    let (mut left, mut shown) = (options.limit, Vec::new());
    loop {
        request.page_size = u32::try_from(left.min(PAGE_SIZE)).unwrap_or(u32::MAX);
        let listed = client.accounts().list_audit_log(client.signed(request.clone())).await;
        let page = listed.map_err(|status| client.refused(&status))?.into_inner();
        left = left.saturating_sub(page.entries.len() as u64);
        match options.json {
            true => shown.extend(page.entries.iter().map(as_json)),
            false => page.entries.iter().try_for_each(print)?,
        }
        if left == 0 || page.next == 0 {
            break;
        }
        request.before = page.next;
    }
    if options.json { output::json(&json!({ "entries": shown })) } else { Ok(()) }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn print(entry: &wire::AuditEntry) -> Result<(), Failure> {
    let wire::AuditEntry { action, subject_sid, account_sid, credential, address, detail, .. } = entry;
    let from = if address.is_empty() { String::new() } else { format!(" from {address}") };
    let line = format!(
        "{}  {action:6}  {}  {account_sid} by {credential}{from}  {}",
        date(entry.created_at),
        plain(subject_sid),
        plain(detail)
    );
    output::line(line.trim_end())
}

/// `2026-01-31T12:00:00Z`
fn date(seconds: i64) -> String {
    let time = time::OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    let (year, month, day) = time.to_calendar_date();
    let (hour, minute, second) = time.to_hms();
    format!("{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z", u8::from(month))
}

fn as_json(entry: &wire::AuditEntry) -> Value {
    json!({
        "number": entry.number,
        "account_sid": entry.account_sid,
        "credential": entry.credential,
        "address": entry.address,
        "action": entry.action,
        "subject_sid": entry.subject_sid,
        "detail": Some(&entry.detail).filter(|detail| !detail.is_empty()),
        "created_at": entry.created_at,
    })
}
