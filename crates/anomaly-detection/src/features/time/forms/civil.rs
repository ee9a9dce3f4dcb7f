//! Days of the Gregorian calendar.

/// Days from 1970-01-01 to a date, `None` if there is no such date (Hinnant, "chrono-Compatible Low-Level Date Algorithms",
/// `days_from_civil`).
pub(super) fn day(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    // years begin in March, so that a leap day is the last of its year
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    Some(era * 146_097 + year * 365 + year / 4 - year / 100 + day_of_year - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_agree_with_a_calendar() {
        let mut expected = jiff::civil::date(1600, 1, 1);
        for number in -135_140..=150_000 {
            let (year, month) = (i64::from(expected.year()), i64::from(expected.month()));
            assert_eq!(
                day(year, month, i64::from(expected.day())),
                Some(number),
                "{expected}"
            );
            expected = expected.tomorrow().expect("in range");
        }
        for (year, month, of) in [
            (2023, 2, 29),
            (1900, 2, 29),
            (2024, 4, 31),
            (2024, 13, 1),
            (2024, 0, 1),
            (2024, 1, 0),
        ] {
            assert_eq!(day(year, month, of), None);
        }
        assert_eq!(day(2000, 2, 29), Some(11_016));
    }
}
