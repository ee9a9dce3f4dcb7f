//! Times given as numbers since 1970.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, reason};

/// The times that are plausible for a number, 1980-01-01 to 2101-01-01, in seconds since 1970.
const PLAUSIBLE: Range<f64> = 315_532_800.0..4_133_980_800.0;

/// Words in the name of a column that suggest times.
const TIME_WORDS: [&str; 12] = [
    "time",
    "times",
    "timestamp",
    "timestamps",
    "datetime",
    "date",
    "dates",
    "ts",
    "epoch",
    "unixtime",
    "at",
    "stamp",
];

/// The unit of a number since 1970-01-01 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EpochUnit {
    /// Seconds.
    Seconds,
    /// Thousandths of a second.
    Milliseconds,
    /// Millionths of a second.
    Microseconds,
    /// Billionths of a second.
    Nanoseconds,
}

impl EpochUnit {
    const ALL: [Self; 4] = [
        Self::Seconds,
        Self::Milliseconds,
        Self::Microseconds,
        Self::Nanoseconds,
    ];

    fn per_second(self) -> i64 {
        match self {
            Self::Seconds => 1,
            Self::Milliseconds => 1_000,
            Self::Microseconds => 1_000_000,
            Self::Nanoseconds => 1_000_000_000,
        }
    }

    /// The nanoseconds since 1970 of a number in this unit. Fractions are kept with the precision of f64.
    ///
    /// # Errors
    /// [`reason::INVALID_RECORDS`] for a number that is not finite or outside of 1677-09-21 to 2262-04-11.
    pub fn parse(self, value: f64) -> Result<i64> {
        let nanoseconds = 1_000_000_000 / self.per_second();
        // whole units and their fraction separately, since their product exceeds the 53 bits of f64
        let whole = value.floor();
        let fraction = ((value - whole) * nanoseconds as f64).round();
        // from -2^63, which fits both f64 and i64, up to but not including 2^63, which fits only f64
        let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&whole);
        let instant = fits
            .then_some(
                i128::from(whole as i64) * i128::from(nanoseconds) + i128::from(fraction as i64),
            )
            .and_then(|instant| i64::try_from(instant).ok());
        instant.ok_or_else(|| {
            let message = format!(
                "the time {value:?} is out of range: {self} must lie from 1677-09-21 to 2262-04-11"
            );
            Error::new(reason::INVALID_RECORDS, message)
        })
    }

    /// The unit in which a number is a plausible time. There is at most one.
    pub fn plausible(value: f64) -> Option<Self> {
        Self::ALL.into_iter().find(|unit| unit.is_plausible(value))
    }

    /// Whether a number is a plausible time in this unit.
    fn is_plausible(self, value: f64) -> bool {
        PLAUSIBLE.contains(&(value / self.per_second() as f64))
    }
}

impl fmt::Display for EpochUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Seconds => "epoch seconds",
            Self::Milliseconds => "epoch milliseconds",
            Self::Microseconds => "epoch microseconds",
            Self::Nanoseconds => "epoch nanoseconds",
        })
    }
}

/// The search for the unit of a column of numbers: the one in which all are plausible times, from 1980 to 2100. Seconds since the
/// start of a measurement are therefore not mistaken for times since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EpochSearch {
    /// There has been no number.
    #[default]
    Unseen,
    /// All numbers so far are plausible times in this unit.
    Found(EpochUnit),
    /// The numbers so far are plausible times in no unit.
    Refused,
}

impl EpochSearch {
    /// Adds the next number, ignoring NaN. Returns whether all numbers so far may be times.
    pub fn add(&mut self, value: f64) -> bool {
        if !value.is_nan() {
            let unit = match *self {
                Self::Unseen => EpochUnit::ALL
                    .into_iter()
                    .find(|unit| unit.is_plausible(value)),
                Self::Found(unit) => unit.is_plausible(value).then_some(unit),
                Self::Refused => None,
            };
            *self = unit.map_or(Self::Refused, Self::Found);
        }
        *self != Self::Refused
    }

    /// The unit of all numbers so far; `None` if there is none, or no number.
    pub fn found(self) -> Option<EpochUnit> {
        match self {
            Self::Found(unit) => Some(unit),
            Self::Unseen | Self::Refused => None,
        }
    }
}

/// Whether a name in `snake_case`, `camelCase` or any other case has a word that suggests times.
pub fn says_time(name: &str) -> bool {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for letter in name.chars() {
        let starts = letter.is_uppercase() && !before.is_uppercase();
        if let Some(word) = words.last_mut()
            && letter.is_alphabetic()
            && !starts
        {
            word.extend(letter.to_lowercase());
        } else if letter.is_alphabetic() {
            words.push(letter.to_lowercase().collect());
        } else {
            words.push(String::new());
        }
        before = letter;
    }
    words.iter().any(|word| TIME_WORDS.contains(&word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_suggest_times_by_whole_words() {
        for name in [
            "time",
            "Timestamp",
            "event_time",
            "eventTime",
            "created_at",
            "TS",
            "ts_ms",
            "time2",
            "DateTime",
            "epochMillis",
            "event-date",
        ] {
            assert!(says_time(name), "{name}");
        }
        for name in [
            "timeout",
            "uptime",
            "amount",
            "sentiment",
            "tsunami",
            "updates",
            "lat",
            "",
            "runtimes",
        ] {
            assert!(!says_time(name), "{name}");
        }
    }

    fn detect(values: &[f64]) -> Option<EpochUnit> {
        let mut search = EpochSearch::default();
        for &value in values {
            search.add(value);
        }
        search.found()
    }

    #[test]
    fn the_magnitude_decides_the_unit() {
        let now = 1_706_708_700.0;
        for unit in EpochUnit::ALL {
            let value = now * unit.per_second() as f64;
            assert_eq!(detect(&[f64::NAN, value]), Some(unit));
            assert_eq!(
                unit.parse(value).expect("in range"),
                1_706_708_700_000_000_000
            );
        }
        let seconds_since_start: Vec<f64> = (0..1728).map(|i| f64::from(i) * 100.0).collect();
        assert_eq!(detect(&seconds_since_start), None);
        assert_eq!(detect(&[now, now * 1e3]), None);
        assert_eq!(detect(&[now, f64::INFINITY]), None);
        assert_eq!(detect(&[f64::NAN]), None);
        assert_eq!(EpochUnit::Milliseconds.to_string(), "epoch milliseconds");
    }

    #[test]
    fn fractions_are_kept_and_the_range_is_checked() {
        let seconds = |value| EpochUnit::Seconds.parse(value);
        assert_eq!(
            seconds(1_706_708_700.25).expect("in range"),
            1_706_708_700_250_000_000
        );
        assert_eq!(seconds(-0.5).expect("in range"), -500_000_000);
        assert_eq!(
            seconds(9_223_372_036.0).expect("in range"),
            9_223_372_036_000_000_000
        );
        for value in [f64::NAN, f64::INFINITY, 1e10, -1e300, 9_223_372_037.0] {
            assert!(seconds(value).is_err(), "{value}");
        }
        assert!(
            EpochUnit::Nanoseconds
                .parse(9_223_372_036_854_775_808.0)
                .is_err()
        );
    }
}
