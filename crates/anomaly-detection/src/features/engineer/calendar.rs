//! The place of a time in the day, the week and the year as a point on a circle, on which the end of a cycle is next to its
//! start.

use std::array::from_fn;
use std::f64::consts::TAU;
use std::sync::LazyLock;

use super::Engineer;

const NANOSECONDS_PER_HOUR: f64 = 3.6e12;
const NANOSECONDS_PER_DAY: i64 = 86_400_000_000_000;

/// A cycle of the calendar, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cycle {
    Hour,
    DayOfWeek,
    Month,
}

impl Cycle {
    /// The cycles of a plan, in order.
    pub(super) fn of(engineer: &Engineer) -> Vec<Self> {
        let asked = engineer.params().time_features;
        [
            (asked.hour, Self::Hour),
            (asked.day_of_week, Self::DayOfWeek),
            (asked.month, Self::Month),
        ]
        .into_iter()
        .filter(|(asked, _)| *asked && engineer.has_time())
        .map(|(_, cycle)| cycle)
        .collect()
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::DayOfWeek => "day_of_week",
            Self::Month => "month",
        }
    }

    /// The sine and the cosine of the place of a time, in nanoseconds since 1970 in UTC. Hours are fractional: 13:45 is 13.75 of
    /// 24. Days of the week, from Monday, and months are whole: all times of a day have the same place in the week.
    pub(super) fn sin_cos(self, time: i64) -> (f64, f64) {
        let day = time.div_euclid(NANOSECONDS_PER_DAY);
        match self {
            // a day has fewer than 2^53 nanoseconds, so that the conversion is exact
            Self::Hour => {
                point(time.rem_euclid(NANOSECONDS_PER_DAY) as f64 / NANOSECONDS_PER_HOUR / 24.0)
            }
            // 1970-01-01 was a Thursday
            Self::DayOfWeek => WEEK[(day + 3).rem_euclid(7) as usize],
            Self::Month => YEAR[month(day) as usize],
        }
    }
}

/// The points of whole days and months, computed once because sines are slow.
static WEEK: LazyLock<[(f64, f64); 7]> = LazyLock::new(|| from_fn(|day| point(day as f64 / 7.0)));
static YEAR: LazyLock<[(f64, f64); 12]> =
    LazyLock::new(|| from_fn(|month| point(month as f64 / 12.0)));

/// The sine and the cosine of a fraction of a cycle.
fn point(part: f64) -> (f64, f64) {
    (part * TAU).sin_cos()
}

/// The month, counted from 0, of a day since 1970 in the Gregorian calendar. Counts in eras of 400 years and in years that start
/// in March (Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`).
fn month(day: i64) -> i64 {
    let day_of_era = (day + 719_468).rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    (from_march + 2) % 12
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn months_agree_with_a_calendar() {
        let mut expected = date(1677, 9, 21);
        let first = -106_752;
        for day in first..=106_751 {
            assert_eq!(month(day), i64::from(expected.month()) - 1, "{expected}");
            expected = expected.tomorrow().expect("in range");
        }
    }

    #[test]
    fn places_of_known_times() {
        let near = |(sin, cos): (f64, f64), part: f64| {
            assert!((sin - (part * TAU).sin()).abs() < 1e-12, "{sin}");
            assert!((cos - (part * TAU).cos()).abs() < 1e-12, "{cos}");
        };
        // Wednesday, 2024-01-31 13:45
        let time = 1_706_708_700_000_000_000;
        near(Cycle::Hour.sin_cos(time), 13.75 / 24.0);
        near(Cycle::DayOfWeek.sin_cos(time), 2.0 / 7.0);
        near(Cycle::Month.sin_cos(time), 0.0);
        // Wednesday, 1969-12-31 23:00
        near(Cycle::Hour.sin_cos(-3_600_000_000_000), 23.0 / 24.0);
        near(Cycle::DayOfWeek.sin_cos(-1), 2.0 / 7.0);
        near(Cycle::Month.sin_cos(-1), 11.0 / 12.0);
        for time in [i64::MIN, i64::MAX] {
            for cycle in [Cycle::Hour, Cycle::DayOfWeek, Cycle::Month] {
                let (sin, cos) = cycle.sin_cos(time);
                assert!((sin * sin + cos * cos - 1.0).abs() < 1e-12);
            }
        }
    }
}
