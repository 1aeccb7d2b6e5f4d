//! Dates as clients read them: `2026-01-31T12:00:00Z`. A fraction of a second would not be taken for a date by Twilio's Python library.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use time::{Month, OffsetDateTime};

/// A time in Unix seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Date(pub(super) i64);

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_text())
    }
}

impl JsonSchema for Date {
    fn schema_name() -> Cow<'static, str> {
        "Date".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

impl Date {
    fn to_text(self) -> String {
        let time = OffsetDateTime::from_unix_timestamp(self.0).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let (year, month, day) = time.to_calendar_date();
        let (hour, minute, second) = time.to_hms();
        format!("{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z", u8::from(month))
    }
}

/// Unix seconds of a date (its beginning, in UTC) or of a date with a time in UTC, as dates are written here.
pub(super) fn parse(text: &str) -> Option<i64> {
    let (date, clock) = match text.split_once('T') {
        Some((date, clock)) => (date, clock.strip_suffix('Z')?),
        None => (text, "00:00:00"),
    };
    let parts = |text: &str, between: char, digits: [usize; 3]| -> Option<[u32; 3]> {
        let mut numbers = [0; 3];
        let mut given = text.split(between);
        for (number, digits) in numbers.iter_mut().zip(digits) {
            let part = given.next().filter(|part| part.len() == digits)?;
            *number = part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok())??;
        }
        given.next().is_none().then_some(numbers)
    };
    let [year, month, day] = parts(date, '-', [4, 2, 2])?;
    // A fraction of a second is less than the log tells apart.
    let [hour, minute, second] = parts(clock.split('.').next()?, ':', [2, 2, 2])?;
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let date = time::Date::from_calendar_date(i32::try_from(year).ok()?, month, u8::try_from(day).ok()?);
    let at =
        date.ok()?.with_hms(u8::try_from(hour).ok()?, u8::try_from(minute).ok()?, u8::try_from(second).ok()?);
    Some(at.ok()?.assume_utc().unix_timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_that_was_written_here_is_read_back() {
        for seconds in [0, 1_709_210_096, 4_102_444_799] {
            assert_eq!(parse(&Date(seconds).to_text()), Some(seconds));
        }
        assert_eq!(parse("1970-01-02"), Some(86_400));
        assert_eq!(parse("1970-01-01T00:00:01.999Z"), Some(1));
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "now",
            "2026-02-30",
            "2026-13-01",
            "2026-1-1",
            "2026-01-01T",
            "2026-01-01T00:00:00",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00+01:00",
            "+026-01-01",
            "2026-01-01-01",
            "2026-01-01T00:00:61Z",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_date_has_whole_seconds_and_ends_with_z() {
        assert_eq!(Date(0).to_text(), "1970-01-01T00:00:00Z");
        assert_eq!(Date(1_709_210_096).to_text(), "2024-02-29T12:34:56Z");
    }
}
