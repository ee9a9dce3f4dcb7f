//! A number of samples or features: a count or a fraction, as in scikit-learn, except that 1 always
//! means all.

use crate::error::{Error, Result, reason};

/// A count or a fraction.
pub(super) enum Share {
    Count(usize),
    Fraction(f64),
}

impl Share {
    /// Checks the value of a field.
    pub(super) fn receive(field: &str, value: f64) -> Result<Self> {
        if value > 0.0 && value <= 1.0 {
            Ok(Self::Fraction(value))
        } else if value >= 2.0 && value.fract() == 0.0 && value <= f64::from(u32::MAX) {
            Ok(Self::Count(value as usize))
        } else {
            let message = format!(
                "{field} is {value:?}; it must be a fraction in (0, 1] or a whole number from 2"
            );
            Err(Error::new(reason::INVALID_PARAMETER, message).at(field))
        }
    }
}
