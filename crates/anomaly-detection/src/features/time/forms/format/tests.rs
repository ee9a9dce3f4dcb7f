use proptest::prelude::*;

use super::*;

fn detect<'a>(texts: impl IntoIterator<Item = &'a str>) -> Option<TimeFormat> {
    let mut search = FormatSearch::default();
    for text in texts {
        search.add(text);
    }
    search.found()
}

/// 2024-01-31 13:45:00 in UTC.
const KNOWN: i64 = 1_706_708_700_000_000_000;
const SECOND: i64 = 1_000_000_000;
const HOUR: i64 = 3600 * SECOND;
/// 2024-01-31 in UTC.
const MIDNIGHT: i64 = KNOWN - 13 * HOUR - 45 * 60 * SECOND;

fn check(format: TimeFormat, golden: &[(&str, i64)]) {
    for &(text, expected) in golden {
        assert_eq!(format.read(text), Ok(expected), "{text}");
        assert_eq!(detect([text]), Some(format), "{text}");
    }
}

#[test]
fn iso_8601() {
    check(
        TimeFormat::Iso8601,
        &[
            ("2024-01-31", MIDNIGHT),
            ("20240131", MIDNIGHT),
            ("2024-01-31T13:45", KNOWN),
            ("2024-01-31 13:45:00", KNOWN),
            (" 2024-01-31t13:45:00z ", KNOWN),
            ("2024-01-31T13:45:00Z", KNOWN),
            ("2024-01-31 13:45:00 UTC", KNOWN),
            ("2024-01-31T14:45:00+01:00", KNOWN),
            ("2024-01-31T08:15:00-0530", KNOWN),
            ("2024-01-31 13:45:00+00", KNOWN),
            ("20240131T134500Z", KNOWN),
            ("20240131T134500", KNOWN),
            ("20240131T134500+0000", KNOWN),
            ("2024-01-31T13:45:00.5", KNOWN + SECOND / 2),
            ("2024-01-31T13:45:00,5", KNOWN + SECOND / 2),
            ("2024-01-31T13:45:00.000000001Z", KNOWN + 1),
            ("2024-01-31T13:44:60Z", KNOWN - SECOND),
            ("1970-01-01", 0),
            ("1969-12-31T23:59:59.999999999Z", -1),
            ("2000-02-29", 951_782_400 * SECOND),
            ("2262-04-11T23:47:16.854775807Z", i64::MAX),
            ("1677-09-21T00:12:43.145224192Z", i64::MIN),
        ],
    );
}

#[test]
fn other_formats() {
    check(
        TimeFormat::YearMonthDay,
        &[
            ("2024/01/31 13:45", KNOWN),
            ("2024/1/31", MIDNIGHT),
            ("2024.01.31", MIDNIGHT),
        ],
    );
    check(
        TimeFormat::DayMonthYear,
        &[
            ("31.01.2024 13:45:00", KNOWN),
            ("31/01/2024", MIDNIGHT),
            ("31-1-2024, 1:45 PM", KNOWN),
            ("01.02.2024", MIDNIGHT + 24 * HOUR),
        ],
    );
    check(
        TimeFormat::MonthDayYear,
        &[
            ("01/31/2024", MIDNIGHT),
            ("1/31/2024 01:45:00.250 pm", KNOWN + SECOND / 4),
            ("02/01/2024", MIDNIGHT + 24 * HOUR),
            ("01/31/2024 12:00 am", MIDNIGHT),
            ("01/31/2024 12:00 PM", MIDNIGHT + 12 * HOUR),
        ],
    );
    check(
        TimeFormat::MonthNameDayYear,
        &[
            ("Jan 31 2024", MIDNIGHT),
            ("january 31, 2024 13:45 +00:00", KNOWN),
            ("Sept 1 2024", MIDNIGHT + 214 * 24 * HOUR),
        ],
    );
    check(
        TimeFormat::DayMonthNameYear,
        &[
            ("31 Jan 2024 13:45", KNOWN),
            ("31-JAN-2024", MIDNIGHT),
            ("31 January 2024T14:45:00+01", KNOWN),
        ],
    );
    check(
        TimeFormat::Rfc2822,
        &[
            ("Wed, 31 Jan 2024 13:45:00 +0000", KNOWN),
            ("31 Jan 2024 14:45:00 +0100", KNOWN),
            ("Wed, 31 Jan 2024 13:45:00 GMT", KNOWN),
        ],
    );
}

#[test]
fn one_day_above_twelve_decides_for_the_column() {
    assert_eq!(
        detect(["01/02/2024", "03/04/2024"]),
        Some(TimeFormat::MonthDayYear)
    );
    assert_eq!(
        detect(["01/02/2024", "13/04/2024"]),
        Some(TimeFormat::DayMonthYear)
    );
    assert_eq!(
        detect(["01/02/2024", "03/31/2024"]),
        Some(TimeFormat::MonthDayYear)
    );
    assert_eq!(detect(["13/02/2024", "03/31/2024"]), None);
    assert_eq!(detect(["01/02/2024", "2024-01-31"]), None);
    assert_eq!(detect([]), None);
}

#[test]
fn texts_that_are_no_times_are_refused() {
    for text in [
        "",
        " ",
        "12",
        "retail",
        "2024",
        "2024-01",
        "2023-02-29",
        "1900-02-29",
        "2024-13-01",
        "2024-01-31T25:00",
        "2024-01-31T13:60",
        "2024-01-31T13:45:00+26:00",
        "2024-01-31T13:45:00[Europe/Berlin]",
        "2024-01-31x",
        "13:45",
        "31/01/24",
        "31.01.2024x",
        "31.01.2024 13:45 XM",
        "31/01/2024 13:45 pm",
        "Janu 31 2024",
        "Foo 31 2024",
        "Jan 312024",
        "31.04.2024",
        "01/31/2024 0:45 am",
        "2024-01-31T13:45:00.",
        "２０２４-01-31",
        "1-2-3",
        "10.0.0.1",
        "2024/01/31 13",
        "99999999999999999999",
    ] {
        assert_eq!(detect([text]), None, "{text:?}");
    }
    let message =
        |format: TimeFormat, text: &str| format.parse(text).expect_err("refused").to_string();
    assert_eq!(
        message(TimeFormat::Iso8601, "yesterday"),
        "\"yesterday\" is not a time in the format ISO 8601, such as 2024-01-31T13:45:00Z"
    );
    let long = "9".repeat(1000);
    assert!(message(TimeFormat::DayMonthYear, &long).len() < 200);
    for (format, text) in [
        (TimeFormat::Iso8601, "2262-04-12"),
        (TimeFormat::Iso8601, "2262-04-11T23:47:16.854775808Z"),
        (TimeFormat::Iso8601, "1677-09-21"),
        (TimeFormat::DayMonthYear, "31.12.9999"),
        (TimeFormat::Rfc2822, "31 Dec 9998 13:45:00 +0000"),
    ] {
        assert!(message(format, text).contains("is out of range"), "{text}");
        assert_eq!(detect([text]), None);
    }
}

#[test]
fn formats_are_stored_by_name() {
    for format in TimeFormat::BY_PRECEDENCE {
        let bytes = crate::messagepack::written(&format).expect("written");
        assert_eq!(
            crate::messagepack::read::<TimeFormat>(&bytes).expect("read"),
            format
        );
        assert!(format.parse(format.example()).is_ok(), "{format}");
    }
}

proptest! {
    #[test]
    fn every_instant_is_read_as_it_is_written(instant: i64, minutes in -1439..1439_i32) {
        let timestamp = jiff::Timestamp::from_nanosecond(i128::from(instant)).expect("in range");
        prop_assert_eq!(TimeFormat::Iso8601.read(&timestamp.to_string()), Ok(instant));
        let offset = jiff::tz::Offset::from_seconds(minutes * 60).expect("in range");
        let text = timestamp.display_with_offset(offset).to_string();
        prop_assert_eq!(TimeFormat::Iso8601.read(&text), Ok(instant), "{}", text);
        let whole = instant.div_euclid(SECOND) * SECOND;
        prop_assume!(whole >= i64::MIN + SECOND);
        let text = jiff::fmt::rfc2822::to_string(&timestamp.to_zoned(jiff::tz::TimeZone::UTC));
        if let Ok(text) = text {
            prop_assert_eq!(TimeFormat::Rfc2822.read(&text), Ok(whole), "{}", text);
        }
    }

    #[test]
    fn no_text_panics(text in "[0-9A-Za-zäé:/. +T,-]{0,32}") {
        for format in TimeFormat::BY_PRECEDENCE {
            let _ = format.read(&text);
        }
    }
}
