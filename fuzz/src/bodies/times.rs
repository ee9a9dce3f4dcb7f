//! Times as texts in every form, and as numbers since 1970.

use anomaly_detection::features::time::{
    EpochSearch, EpochUnit, FormatSearch, TimeFormat, says_time,
};

const FORMATS: [TimeFormat; 7] = [
    TimeFormat::Iso8601,
    TimeFormat::Rfc2822,
    TimeFormat::YearMonthDay,
    TimeFormat::DayMonthNameYear,
    TimeFormat::MonthNameDayYear,
    TimeFormat::MonthDayYear,
    TimeFormat::DayMonthYear,
];

const UNITS: [EpochUnit; 4] = [
    EpochUnit::Seconds,
    EpochUnit::Milliseconds,
    EpochUnit::Microseconds,
    EpochUnit::Nanoseconds,
];

/// Reads the lines as texts and as names, and the bytes as numbers.
pub fn run(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data);
    let mut is_any = false;
    for line in text.lines() {
        for format in FORMATS {
            let time = format.parse(line).ok();
            let padded = format.parse(&format!(" {line}\t")).ok();
            assert_eq!(time, padded, "spaces around {line:?} say something");
            if let Some(time) = time {
                is_any = true;
                assert_prints_as_itself(time);
            }
        }
    }
    let mut search = FormatSearch::default();
    for line in text.lines() {
        let is_left = search.add(line);
        assert_eq!(is_left, search.found().is_some(), "{line:?}");
        says_time(line);
    }
    if let Some(format) = search.found() {
        for line in text.lines() {
            assert!(format.parse(line).is_ok(), "{line:?} is not in {format}");
        }
    }

    let (eights, _) = data.as_chunks::<8>();
    let numbers: Vec<f64> = eights
        .iter()
        .map(|bytes| f64::from_le_bytes(*bytes))
        .collect();
    for &number in &numbers {
        for unit in UNITS {
            if let Ok(time) = unit.parse(number) {
                assert_prints_as_itself(time);
            }
        }
    }
    let mut search = EpochSearch::default();
    for &number in &numbers {
        search.add(number);
    }
    if let Some(unit) = search.found() {
        is_any = true;
        for number in numbers.iter().filter(|number| !number.is_nan()) {
            assert!(unit.parse(*number).is_ok(), "{number:?} is not in {unit}");
        }
    }
    is_any
}

/// What another library prints of a time must say the same time.
fn assert_prints_as_itself(time: i64) {
    let printed = jiff::Timestamp::from_nanosecond(time.into());
    let printed = printed
        .expect("64 bits of nanoseconds are in range")
        .to_string();
    let read = TimeFormat::Iso8601.parse(&printed);
    assert_eq!(read.ok(), Some(time), "{printed}");
}
