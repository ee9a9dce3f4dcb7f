//! The random streams of a fit, and a logarithm with the same bits on every processor.

use crate::detector::random::{GOLDEN, mix, split_mix};

/// A stream of random numbers, by SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Debug)]
pub(in crate::detector) struct Stream<'a>(pub(in crate::detector) &'a mut u64);

impl Stream<'_> {
    fn next(&mut self) -> u64 {
        let number = split_mix(*self.0);
        *self.0 = self.0.wrapping_add(GOLDEN);
        number
    }

    /// A uniform number in (0, 1).
    pub(in crate::detector) fn unit(&mut self) -> f64 {
        ((self.next() >> 12) as f64 + 0.5) / (1u64 << 52) as f64
    }

    /// A uniform integer below `n`, which is at least 1.
    pub(in crate::detector) fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }
}

/// The initial state of the stream with this number for a seed.
pub(in crate::detector) fn stream_state(random_state: u64, number: u64) -> u64 {
    mix(split_mix(random_state) ^ number)
}

/// The indices of `most` of `n` rows, or of all if there are no more: a random one from each of `most` equal stretches, so that
/// neither an order nor a period of the rows matters.
pub(in crate::detector) fn spread_rows(n: usize, most: usize, random_state: u64) -> Vec<usize> {
    if n <= most {
        return (0..n).collect();
    }
    let mut state = stream_state(random_state, u64::MAX);
    let mut stream = Stream(&mut state);
    let start = |stretch: usize| (stretch as u128 * n as u128 / most as u128) as usize;
    (0..most)
        .map(|stretch| {
            let first = start(stretch);
            first + stream.below(start(stretch + 1) - first)
        })
        .collect()
}

/// `ln(1 + x)` for a finite x >= 0, to 1e-14. The standard library's may differ between processors in the last digit, and
/// rounding to single precision could magnify that.
pub(in crate::detector) fn log_1p(x: f64) -> f64 {
    const MANTISSA: u64 = (1 << 52) - 1;
    const ONE: u64 = 1023 << 52;
    // ln((1 + s) / (1 - s)) = 2 (s + s^3 / 3 + s^5 / 5 + ...), for s below 0.172
    let ratio_log = |s: f64| {
        let t = s * s;
        let series = 1.0 / 15.0 + t * (1.0 / 17.0);
        let series = 1.0 / 11.0 + t * (1.0 / 13.0 + t * series);
        let series = 1.0 / 7.0 + t * (1.0 / 9.0 + t * series);
        let series = 1.0 / 3.0 + t * (1.0 / 5.0 + t * series);
        2.0 * (s + s * t * series)
    };
    let bits = (1.0 + x).to_bits();
    let exponent = f64::from((bits >> 52) as i32 - 1023);
    let fraction = f64::from_bits(bits & MANTISSA | ONE);
    let halved = fraction > std::f64::consts::SQRT_2;
    let exponent = if halved { exponent + 1.0 } else { exponent };
    let fraction = if halved { 0.5 * fraction } else { fraction };
    // without a branch, which would be unpredictable
    let small = x < 0.4;
    let exponent = if small { 0.0 } else { exponent };
    let above = if small { x } else { fraction - 1.0 };
    let below = if small { 2.0 + x } else { fraction + 1.0 };
    exponent * std::f64::consts::LN_2 + ratio_log(above / below)
}

#[cfg(test)]
mod tests;
