//! Counters for Prometheus.

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

/// What a prediction has found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Predicted {
    /// The number of predictions: 0 for a part of one that is counted already.
    pub n_predictions: u64,
    /// How many rows were scored.
    pub n_rows: u64,
    /// How many of them are anomalies.
    pub n_anomalies: u64,
    /// How many values were missing, infinite ones not included.
    pub n_missing_values: u64,
    /// How many values were infinite.
    pub n_infinite_values: u64,
    /// How many features were missing or infinite in at least one row.
    pub n_missing_features: u64,
    /// How many columns the model did not know.
    pub n_unknown_features: u64,
}

/// The counters of one server. They name no run, feature or owner.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    predictions: Counter,
    rows: Counter,
    anomalies: Counter,
    missing_values: Counter,
    infinite_values: Counter,
    missing_features: Counter,
    unknown_features: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Counters at 0.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("anomalyd");
        let mut counter = |name, help| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        Self {
            predictions: counter("predictions", "Predictions that were answered"),
            rows: counter("rows_scored", "Rows that were scored"),
            anomalies: counter("anomalies", "Rows that scored above their threshold"),
            missing_values: counter("missing_values", "Values missing in rows that were scored"),
            infinite_values: counter(
                "infinite_values",
                "Infinite values in rows that were scored",
            ),
            missing_features: counter(
                "missing_features",
                "Features that were missing or infinite in a row, once a prediction",
            ),
            unknown_features: counter(
                "unknown_features",
                "Columns that the model did not know, once a prediction and at most 100 of one",
            ),
            registry,
        }
    }

    /// Counts a prediction that was answered, or a part of one.
    pub fn count(&self, predicted: Predicted) {
        self.predictions.inc_by(predicted.n_predictions);
        self.rows.inc_by(predicted.n_rows);
        self.anomalies.inc_by(predicted.n_anomalies);
        self.missing_values.inc_by(predicted.n_missing_values);
        self.infinite_values.inc_by(predicted.n_infinite_values);
        self.missing_features.inc_by(predicted.n_missing_features);
        self.unknown_features.inc_by(predicted.n_unknown_features);
    }

    /// All counters in the OpenMetrics text format, which Prometheus reads.
    ///
    /// # Errors
    /// Never: writing to a string does not fail.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_appear_in_the_text() {
        let metrics = Metrics::new();
        let predicted = Predicted {
            n_predictions: 1,
            n_rows: 10,
            n_anomalies: 2,
            n_unknown_features: 3,
            ..Predicted::default()
        };
        metrics.count(predicted);
        metrics.count(predicted);
        let text = metrics.text().expect("to memory");
        for line in [
            "anomalyd_predictions_total 2",
            "anomalyd_rows_scored_total 20",
            "anomalyd_anomalies_total 4",
            "anomalyd_missing_values_total 0",
            "anomalyd_unknown_features_total 6",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}: {text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
