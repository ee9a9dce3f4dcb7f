//! Class weights for supervised detectors.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, reason};

/// How much each class counts, with scikit-learn's meaning of `class_weight`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassWeight {
    /// Every row counts 1.
    #[default]
    Uniform,
    /// Both classes count the same in total: a row counts `n / (2 * rows of its class)`.
    Balanced,
    /// A row counts the given weight of its class; finite and above 0.
    Given {
        /// The weight of a normal row.
        normal: f64,
        /// The weight of an anomaly.
        anomaly: f64,
    },
}

impl ClassWeight {
    /// Checks the given weights.
    ///
    /// # Errors
    /// [`reason::INVALID_PARAMETER`] at `class_weight.normal` or `class_weight.anomaly` for a weight that is not finite or not
    /// above 0.
    pub fn check(&self) -> Result<()> {
        let Self::Given { normal, anomaly } = *self else {
            return Ok(());
        };
        for (class, field, weight) in [
            ("normal rows", "class_weight.normal", normal),
            ("anomalies", "class_weight.anomaly", anomaly),
        ] {
            if !(weight.is_finite() && weight > 0.0) {
                let message =
                    format!("the weight of {class} is {weight:?}; it must be finite and above 0");
                return Err(Error::new(reason::INVALID_PARAMETER, message).at(field));
            }
        }
        Ok(())
    }

    /// The weights of a normal row and of an anomaly, given the (weighted) numbers of both. An empty class gets weight 1 under
    /// `Balanced`.
    pub fn weights(&self, normal: f64, anomaly: f64) -> (f64, f64) {
        let balanced = |count: f64| {
            if count > 0.0 {
                (normal + anomaly) / (2.0 * count)
            } else {
                1.0
            }
        };
        match *self {
            Self::Uniform => (1.0, 1.0),
            Self::Balanced => (balanced(normal), balanced(anomaly)),
            Self::Given { normal, anomaly } => (normal, anomaly),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_have_the_meaning_of_scikit_learn() {
        assert_eq!(ClassWeight::Uniform.weights(90.0, 10.0), (1.0, 1.0));
        assert_eq!(
            ClassWeight::Balanced.weights(90.0, 10.0),
            (100.0 / 180.0, 5.0)
        );
        assert_eq!(ClassWeight::Balanced.weights(0.0, 10.0), (1.0, 0.5));
        let given = ClassWeight::Given {
            normal: 0.5,
            anomaly: 3.0,
        };
        assert_eq!(given.weights(90.0, 10.0), (0.5, 3.0));
    }

    #[test]
    fn weights_out_of_range_are_refused() {
        for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            for (normal, anomaly, field) in [
                (wrong, 1.0, "class_weight.normal"),
                (1.0, wrong, "class_weight.anomaly"),
            ] {
                let error = ClassWeight::Given { normal, anomaly }
                    .check()
                    .expect_err("refused");
                assert_eq!(error.reason(), reason::INVALID_PARAMETER);
                assert_eq!(error.field_path(), Some(field));
            }
        }
        for right in [ClassWeight::Uniform, ClassWeight::Balanced] {
            right.check().expect("accepted");
        }
    }
}
