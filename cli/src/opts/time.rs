//! Durations and times, as every verb reads and shows them.

use std::time::{Duration, UNIX_EPOCH};

/// The last second that a date can name: the end of the year 9999.
const LAST_SECOND: u64 = 253_402_300_799;

/// Parses a duration: `90` (seconds), `90s`, `1h 30m`, `7d`. Whole seconds only.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    let advice = "write seconds or units, such as 90, 90s, 1h30m, 7d";
    let parsed = humantime::parse_duration(text)
        .map_err(|error| format!("`{text}` is not a duration: {error}; {advice}"))?;
    if parsed.subsec_nanos() != 0 {
        return Err(format!(
            "`{text}` has a part of a second; write whole seconds"
        ));
    }
    Ok(parsed)
}

/// Parses a time: `2026-12-01T12:00:00Z`, `2026-12-01T12:00Z`, or seconds since 1970. Returns seconds since 1970.
pub(crate) fn parse_time(text: &str) -> Result<u64, String> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Ok(seconds);
    }
    let advice = "write UTC such as 2026-12-01T12:00Z, or seconds since 1970";
    let refused = |reason: &str| Err(format!("`{text}` is not a time: {reason}; {advice}"));
    // Without its Z a time would be local elsewhere.
    let Some(without_zone) = text.strip_suffix(['Z', 'z']) else {
        return refused("its zone is missing");
    };
    let seconds = match without_zone.len() {
        16 => format!("{without_zone}:00Z"),
        _ => format!("{without_zone}Z"),
    };
    let parsed = match humantime::parse_rfc3339(&seconds) {
        Ok(parsed) => parsed,
        Err(error) => return refused(&error.to_string()),
    };
    match parsed.duration_since(UNIX_EPOCH) {
        Ok(since) if since.subsec_nanos() == 0 => Ok(since.as_secs()),
        Ok(_) => refused("it has a part of a second"),
        Err(_) => refused("it is before 1970"),
    }
}

/// Formats seconds since 1970 as a date: `2026-12-01T12:00:00Z`. Times after the year 9999 stay numbers.
pub(crate) fn show_time(seconds: u64) -> String {
    if seconds > LAST_SECOND {
        return seconds.to_string();
    }
    let time = UNIX_EPOCH + Duration::from_secs(seconds);
    humantime::format_rfc3339_seconds(time).to_string()
}

/// Formats a duration in whole seconds: `1h 30m`.
pub(crate) fn show_duration(duration: Duration) -> String {
    humantime::format_duration(Duration::from_secs(duration.as_secs())).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_durations_in_seconds_and_units() {
        for (text, seconds) in [
            ("0", 0),
            ("90", 90),
            ("90s", 90),
            ("1h", 3_600),
            ("1h30m", 5_400),
            ("1h 30m", 5_400),
            ("7d", 604_800),
            (" 5m ", 300),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_secs(seconds)),
                "{text}"
            );
        }
    }

    #[test]
    fn rejects_what_is_not_a_duration() {
        for text in [
            "",
            "h",
            "-5",
            "1.5",
            "1h-",
            "10 parsecs",
            "500ms",
            "1s 1ms",
            "99999999999999999d",
        ] {
            let error = parse_duration(text).unwrap_err();
            assert!(
                error.contains(&format!("`{text}`")) && error.contains("; write"),
                "{error}"
            );
        }
    }

    #[test]
    fn parses_times_as_dates_and_seconds() {
        for (text, seconds) in [
            ("0", 0),
            ("1796126400", 1_796_126_400),
            ("2026-12-01T12:00:00Z", 1_796_126_400),
            ("2026-12-01T12:00Z", 1_796_126_400),
            ("2026-12-01T12:00:00z", 1_796_126_400),
            ("1970-01-01T00:00:01Z", 1),
            ("9999-12-31T23:59:59Z", LAST_SECOND),
        ] {
            assert_eq!(parse_time(text), Ok(seconds), "{text}");
        }
    }

    #[test]
    fn rejects_what_is_not_a_time() {
        for text in [
            "",
            "now",
            "-1",
            "12:00Z",
            "2026-12-01",
            "2026-12-01T12:00",
            "2026-12-01T12:00:00",
            "2026-12-01T12:00:00+01:00",
            "2026-13-01T12:00Z",
            "2026-12-01T12:60Z",
            "2026-12-01T12:00:00.5Z",
            "1969-12-31T23:59:59Z",
        ] {
            let error = parse_time(text).unwrap_err();
            assert!(
                error.contains(&format!("`{text}`")) && error.contains("; write"),
                "{error}"
            );
        }
    }

    #[test]
    fn shows_times_that_it_parses() {
        for seconds in [0, 1, 1_796_126_400, LAST_SECOND, LAST_SECOND + 1, u64::MAX] {
            assert_eq!(parse_time(&show_time(seconds)), Ok(seconds));
        }
        assert_eq!(show_time(1_796_126_400), "2026-12-01T12:00:00Z");
        assert_eq!(show_duration(Duration::from_millis(5_400_500)), "1h 30m");
    }
}
