//! Engineered features, compared with independently computed values and among the ways to compute them.

use ndarray::Array2;

use super::*;
use crate::context::Context;

mod golden;
mod hostile;
mod same_bits;

fn engineer(lags: &[u32], windows: &[u32], columns: &[&str], has_time: bool) -> Engineer {
    let params = EngineeringParams {
        lags: lags.to_vec(),
        rolling_windows: windows.to_vec(),
        ..EngineeringParams::default()
    };
    let columns = columns.iter().map(|&column| column.to_owned()).collect();
    Engineer::new(params, columns, has_time).expect("valid")
}

fn push_all(builder: &mut Builder, rows: &Rows<'_>) -> Array2<f64> {
    let width = builder.layout.width();
    let mut out = Array2::zeros((rows.n_rows, width));
    for (row, mut out) in out.rows_mut().into_iter().enumerate() {
        let values: Vec<f64> = rows.columns.iter().map(|column| column[row]).collect();
        let series = rows
            .series
            .map_or("", |series| &series.keys[series.codes[row] as usize]);
        let time = rows.times.and_then(|times| times[row]);
        let out = out.as_slice_mut().expect("standard layout");
        builder.push(series, &values, time, out).expect("taken");
    }
    out
}

fn bits(features: &Array2<f64>) -> Vec<u64> {
    features.iter().map(|value| value.to_bits()).collect()
}

fn one_column(values: &[f64], engineer: &Engineer) -> Array2<f64> {
    let rows = Rows {
        n_rows: values.len(),
        columns: &[values],
        times: None,
        series: None,
    };
    Builder::new(engineer, Histories::default())
        .apply(&rows, &Context::new())
        .expect("made")
}
