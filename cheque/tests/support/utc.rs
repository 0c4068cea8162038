//! Times in UTC, computed another way than the library does.

/// Writes a time in seconds since 1970 as RFC 3339 does, counting years and months one by one.
pub(crate) fn utc(time: u64) -> String {
    let (mut days, second) = (time / 86_400, time % 86_400);
    let mut year = 1970;
    while days >= 365 + leap(year) {
        days -= 365 + leap(year);
        year += 1;
    }
    let february = 28 + leap(year);
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for length in months {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let day = days + 1;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The leap days of a year before 2100.
const fn leap(year: u64) -> u64 {
    if year.is_multiple_of(4) { 1 } else { 0 }
}
