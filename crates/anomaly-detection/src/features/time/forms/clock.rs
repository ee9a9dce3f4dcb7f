//! The time of day and the zone at the end of a text.

/// The rest of a text that is being parsed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl Cursor<'_> {
    /// Takes a byte, if it comes next in either case.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        match self.0 {
            [first, rest @ ..] if first.eq_ignore_ascii_case(&byte) => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    /// Takes a number of `least` to `most` digits.
    pub(super) fn digits(&mut self, least: usize, most: usize) -> Option<i64> {
        let n = self
            .0
            .iter()
            .take(most)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if n < least {
            return None;
        }
        let (digits, rest) = self.0.split_at(n);
        self.0 = rest;
        Some(
            digits
                .iter()
                .fold(0, |number, digit| number * 10 + i64::from(digit - b'0')),
        )
    }

    /// Takes all spaces.
    pub(super) fn spaces(&mut self) {
        self.0 = self.0.trim_ascii_start();
    }

    /// Takes a word, in any case.
    pub(super) fn word(&mut self, word: &str) -> bool {
        match self.0.split_at_checked(word.len()) {
            Some((start, rest)) if start.eq_ignore_ascii_case(word.as_bytes()) => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    /// Takes the letters that come next.
    pub(super) fn letters(&mut self) -> usize {
        let n = self
            .0
            .iter()
            .take_while(|byte| byte.is_ascii_alphabetic())
            .count();
        self.0 = &self.0[n..];
        n
    }
}

/// Reads a time of day, `13:45`, `13:45:00`, `13:45:00.25` or a 12-hour one with AM or PM, followed by nothing or by the zone
/// `Z`, `UTC`, `GMT`, `+05:30`, `+0530` or `+05`. Returns the nanoseconds since midnight and the offset of the zone from UTC in
/// nanoseconds.
pub(super) fn clock(mut text: Cursor<'_>) -> Option<(i64, i64)> {
    let mut hour = text.digits(1, 2)?;
    if !text.take(b':') {
        return None;
    }
    let minute = text.digits(2, 2)?;
    let (mut second, mut fraction) = (0, 0);
    if text.take(b':') {
        second = text.digits(2, 2)?;
        if text.take(b'.') {
            fraction = self::fraction(&mut text)?;
        }
    }
    text.spaces();
    let half = if text.word("am") {
        Some(0)
    } else if text.word("pm") {
        Some(12)
    } else {
        None
    };
    if let Some(half) = half {
        if !(1..=12).contains(&hour) {
            return None;
        }
        hour = hour % 12 + half;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let nanoseconds = ((hour * 60 + minute) * 60 + second) * 1_000_000_000 + fraction;
    text.spaces();
    Some((nanoseconds, zone(text)?))
}

/// The nanoseconds of a fraction of 1 to 9 digits.
pub(super) fn fraction(text: &mut Cursor<'_>) -> Option<i64> {
    let before = text.0.len();
    let digits = text.digits(1, 9)?;
    let n = before - text.0.len();
    Some(digits * 10_i64.pow(9 - n as u32))
}

/// Reads a zone up to the end of the text, and returns its offset from UTC in nanoseconds; 0 at the end of the text.
pub(super) fn zone(mut text: Cursor<'_>) -> Option<i64> {
    if text.0.is_empty()
        || [&b"z"[..], b"utc", b"gmt"]
            .iter()
            .any(|utc| text.0.eq_ignore_ascii_case(utc))
    {
        return Some(0);
    }
    let sign = if text.take(b'+') {
        1
    } else if text.take(b'-') {
        -1
    } else {
        return None;
    };
    let hours = text.digits(2, 2)?;
    let mut minutes = 0;
    if text.take(b':') || !text.0.is_empty() {
        minutes = text.digits(2, 2)?;
    }
    let fits = text.0.is_empty() && hours < 24 && minutes < 60;
    fits.then_some(sign * (hours * 60 + minutes) * 60 * 1_000_000_000)
}
