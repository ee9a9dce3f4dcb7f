//! Units that are powers of two: a change of unit then rounds nothing.

/// The largest power of two that is at most a normal number above 0; 0 for a subnormal one, and infinity for infinity.
#[inline]
pub(crate) fn power_of_two(x: f64) -> f64 {
    // clears the sign and the bits of the fraction
    f64::from_bits(x.to_bits() & (0x7ff << 52))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_at_most_the_number() {
        for (x, power) in [
            (1.0, 1.0),
            (1.9, 1.0),
            (2.0, 2.0),
            (0.3, 0.25),
            (1e300, 2.0_f64.powi(996)),
        ] {
            assert_eq!(power_of_two(x), power, "{x}");
        }
        assert_eq!(power_of_two(f64::MIN_POSITIVE), f64::MIN_POSITIVE);
        assert_eq!(
            (power_of_two(5e-324), power_of_two(f64::INFINITY)),
            (0.0, f64::INFINITY)
        );
    }
}
