//! What a model shows of the columns that its detector sees, in the order of the training table instead of the detector's and in
//! original units.

use ndarray::Array2;

use super::Model;

/// Statistics of a column that the detector sees.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnStatistics {
    /// Its name: that of a feature, of an engineered feature, or of a feature and one of its categories.
    pub name: String,
    /// How many values the model has learned from.
    pub n_values: u64,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation, with the divisor n - 1.
    pub std: f64,
    /// The smallest value.
    pub min: f64,
    /// The largest value.
    pub max: f64,
    /// The value that is imputed for a missing one.
    pub fill: f64,
    /// The column's share in the detector's decisions, if the detector has importances; all shares sum to 1.
    pub importance: Option<f64>,
}

/// The mean and covariance that a Gaussian detector has learned from rows without missing values.
#[derive(Debug, Clone, PartialEq)]
pub struct ShownMoments {
    /// How many rows they were learned from.
    pub n_rows: u64,
    /// The mean of each column.
    pub mean: Vec<f64>,
    /// The covariance of all columns, d x d with the divisor n - 1; `None` if there are more columns than the caller allows.
    pub covariance: Option<Array2<f64>>,
}

impl Model {
    /// The names of the columns that the detector sees, in the order shown.
    pub fn column_names(&self) -> Vec<String> {
        let names = self.features.names();
        let shown = self.features.shown_columns().into_iter();
        shown.map(|column| names[column].clone()).collect()
    }

    /// The statistics of each column that the detector sees, in the order shown; `None` if nothing was learned from rows.
    pub fn column_statistics(&self) -> Option<Vec<ColumnStatistics>> {
        let moments = self.statistics.features.as_ref()?;
        let (names, std, fill) = (self.features.names(), moments.std(), self.features.fill());
        let importances = self.detector.as_detector().feature_importances();
        let statistics = |column: usize| ColumnStatistics {
            name: names[column].clone(),
            n_values: moments.n()[column],
            mean: moments.mean()[column],
            std: std[column],
            min: moments.min()[column],
            max: moments.max()[column],
            fill: fill[column],
            importance: importances.as_ref().and_then(|of| of.get(column).copied()),
        };
        let shown = self.features.shown_columns().into_iter();
        Some(shown.map(statistics).collect())
    }

    /// The moments of a Gaussian detector in original units and the order shown, with the covariance if there are at most
    /// `max_columns` columns; `None` for any other detector.
    pub fn gaussian_moments(&self, max_columns: usize) -> Option<ShownMoments> {
        let moments = self.detector.as_gaussian()?.moments();
        let shown = self.features.shown_columns();
        let scale = self.features.scale.as_ref();
        let spread = |column: usize| scale.map_or(1.0, |scale| scale.spread()[column]);
        let center = |column: usize| scale.map_or(0.0, |scale| scale.center()[column]);
        let mean = shown
            .iter()
            .map(|&column| moments.mean()[column] * spread(column) + center(column));
        let covariance = (shown.len() <= max_columns).then(|| {
            let scaled = moments.covariance();
            Array2::from_shape_fn((shown.len(), shown.len()), |(i, j)| {
                let (i, j) = (shown[i], shown[j]);
                scaled[(i, j)] * spread(i) * spread(j)
            })
        });
        Some(ShownMoments {
            n_rows: moments.n(),
            mean: mean.collect(),
            covariance,
        })
    }
}
