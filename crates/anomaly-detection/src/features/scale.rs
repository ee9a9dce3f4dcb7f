//! Scaling of features to comparable ranges, by statistics that are learned at training and then fixed.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, reason};
use crate::statistics::moments::FeatureMoments;

/// The ways to scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scaling {
    /// No scaling.
    None,
    /// Subtracts the mean and divides by the population standard deviation, as scikit-learn's `StandardScaler`.
    Standard,
    /// Subtracts the median and divides by the interquartile range, as scikit-learn's `RobustScaler`.
    Robust,
}

/// A fitted scaler, `(value - center) / spread` for each feature. The spread of a constant feature is 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    #[serde(with = "crate::le_bytes")]
    center: Vec<f64>,
    #[serde(with = "crate::le_bytes")]
    spread: Vec<f64>,
}

/// The largest magnitude of a scaled value, far beyond any meaningful one, whose square is still finite.
const LIMIT: f64 = 1e150;

impl Scale {
    /// Learns a scaler from the moments of each feature or, for robust scaling, from the quartiles that `quartiles` computes.
    /// `None` for [`Scaling::None`].
    ///
    /// # Errors
    /// [`reason::UNUSABLE_ROWS`], naming the feature, when its center or spread is not finite; and those of `quartiles`.
    pub fn learn(
        scaling: Scaling,
        moments: &FeatureMoments,
        quartiles: impl FnOnce() -> Result<Vec<Quartiles>>,
        names: &[String],
    ) -> Result<Option<Self>> {
        let (center, spread): (Vec<f64>, Vec<f64>) = match scaling {
            Scaling::None => return Ok(None),
            Scaling::Standard => (moments.mean().to_vec(), moments.population_std()),
            Scaling::Robust => {
                let of_one = |[low, middle, high]: Quartiles| {
                    let range = low.zip(high).map_or(0.0, |(low, high)| high - low);
                    (middle.unwrap_or(0.0), range)
                };
                quartiles()?.into_iter().map(of_one).unzip()
            }
        };
        if let Some(feature) = center
            .iter()
            .zip(&spread)
            .position(|(c, s)| !(c.is_finite() && s.is_finite()))
        {
            return Err(Error::new(
                reason::UNUSABLE_ROWS,
                format!(
                    "the values of feature {:?} are too large to be scaled",
                    names[feature]
                ),
            )
            .at("records"));
        }
        let spread = spread
            .into_iter()
            .map(|s| if s > 0.0 { s } else { 1.0 })
            .collect();
        Ok(Some(Self { center, spread }))
    }

    /// Whether a stored scaler fits `n` features.
    pub(super) fn is_valid(&self, n: usize) -> bool {
        self.center.len() == n
            && self.spread.len() == n
            && self.center.iter().all(|c| c.is_finite())
            && self.spread.iter().all(|s| s.is_finite() && *s > 0.0)
    }

    /// Scales rows, n x d. Missing values stay NaN, finite ones stay finite.
    pub fn apply(&self, mut rows: Array2<f64>) -> Array2<f64> {
        for mut row in rows.rows_mut() {
            for ((value, &center), &spread) in row.iter_mut().zip(&self.center).zip(&self.spread) {
                *value = ((*value - center) / spread).clamp(-LIMIT, LIMIT);
            }
        }
        rows
    }

    /// The value that is subtracted from each feature.
    pub fn center(&self) -> &[f64] {
        &self.center
    }

    /// The value that each feature is then divided by.
    pub fn spread(&self) -> &[f64] {
        &self.spread
    }
}

/// The shares of values below the quartiles.
pub const QUARTILES: [f64; 3] = [0.25, 0.5, 0.75];

/// The quartiles of the finite values of a feature; `None` if it has none.
pub type Quartiles = [Option<f64>; 3];

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn robust_scaling_uses_the_median_and_the_interquartile_range() {
        let rows = array![
            [1.0, 7.0],
            [2.0, 7.0],
            [3.0, 7.0],
            [4.0, 7.0],
            [100.0, f64::NAN]
        ];
        let moments = FeatureMoments::of(rows.view()).expect("finite");
        let quartiles = || Ok(vec![[2.0, 3.0, 4.0].map(Some), [7.0; 3].map(Some)]);
        let scale = Scale::learn(Scaling::Robust, &moments, quartiles, &[])
            .expect("finite")
            .expect("some");
        assert_eq!(scale.spread(), [2.0, 1.0]);
        let scaled = scale.apply(rows);
        assert_eq!(scaled.column(0).to_vec(), [-1.0, -0.5, 0.0, 0.5, 48.5]);
        assert!(scaled[[4, 1]].is_nan());
    }
}
