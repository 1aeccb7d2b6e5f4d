//! Spans of time on the command line.

/// A whole number with a unit: s, m, h or d; at most `DAYS_MAX` days.
///
/// # Errors
/// What is accepted.
pub(super) fn seconds<const DAYS_MAX: u32>(text: &str) -> Result<u32, String> {
    let refused =
        || format!("a time is a whole number with a unit, such as 90s, 30m, 1h or 7d; at most {DAYS_MAX}d");
    let digits = text.find(|char: char| !char.is_ascii_digit()).ok_or_else(refused)?;
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(refused()),
    };
    let seconds = number.parse::<u32>().ok().and_then(|number| number.checked_mul(factor));
    seconds.filter(|seconds| (1..=DAYS_MAX * 86_400).contains(seconds)).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn a_time_has_a_unit_and_a_bound() {
        for (text, expected) in [("90s", 90), ("30m", 1800), ("1h", 3600), ("30d", 2_592_000)] {
            assert_eq!(seconds::<30>(text), Ok(expected));
        }
        for wrong in ["", "1", "h", "0s", "31d", "1.5h", "-1h", "99999999999d"] {
            assert!(seconds::<30>(wrong).is_err(), "{wrong:?}");
        }
    }
}
