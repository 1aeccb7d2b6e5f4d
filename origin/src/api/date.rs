//! Dates as clients read them: `2026-01-31T12:00:00Z`. A fraction of a second would not be taken for a date by Twilio's Python library.

use serde::{Serialize, Serializer};
use time::OffsetDateTime;

/// A time in Unix seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Date(pub(super) i64);

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_text())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_has_whole_seconds_and_ends_with_z() {
        assert_eq!(Date(0).to_text(), "1970-01-01T00:00:00Z");
        assert_eq!(Date(1_709_210_096).to_text(), "2024-02-29T12:34:56Z");
    }
}
