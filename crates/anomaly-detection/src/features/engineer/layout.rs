//! The layout of the engineered features of a row, and how each of them is computed.

use std::array::from_fn;
use std::ops::Range;

use super::Engineer;
use super::calendar::Cycle;
use super::moments::{LANES, Moments, RollingMoments, Window};

/// The largest z-score. Any value that differs from a constant window would have an infinite one.
pub(super) const Z_LIMIT: f64 = 100.0;

/// A plan in the form in which it is carried out.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    lags: Vec<usize>,
    windows: Vec<Window>,
    longest_window: usize,
    mean: bool,
    std: bool,
    z_score: bool,
    difference: bool,
    n_columns: usize,
    cycles: Vec<Cycle>,
    depth: usize,
}

/// Where the features of one column are written: into the rows of `out`, each of the layout's width.
pub(super) struct Target<'a> {
    pub(super) out: &'a mut [f64],
    pub(super) column: usize,
}

impl Layout {
    pub(super) fn new(engineer: &Engineer) -> Self {
        let params = engineer.params();
        let lags: Vec<usize> = params.lags.iter().map(|&lag| lag as usize).collect();
        let any = params.rolling_mean || params.rolling_std || params.rolling_z_score;
        let lengths = if any {
            &params.rolling_windows[..]
        } else {
            &[]
        };
        let longest_window = lengths.iter().max().map_or(0, |&length| length as usize);
        let longest_lag = lags.iter().copied().max().unwrap_or(0);
        let depth = longest_window
            .max(longest_lag)
            .max(usize::from(params.difference));
        Self {
            lags,
            windows: lengths
                .iter()
                .map(|&length| Window::new(length as usize))
                .collect(),
            longest_window,
            mean: params.rolling_mean,
            std: params.rolling_std,
            z_score: params.rolling_z_score,
            difference: params.difference,
            n_columns: engineer.columns().len(),
            cycles: Cycle::of(engineer),
            depth: if engineer.columns().is_empty() {
                0
            } else {
                depth
            },
        }
    }

    /// The number of source columns.
    pub(super) fn n_columns(&self) -> usize {
        self.n_columns
    }

    /// How many rows of a series are remembered.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// How many values of a series are remembered.
    pub(super) fn remembered(&self) -> usize {
        self.depth.saturating_mul(self.n_columns)
    }

    /// The length of the longest window; 0 if there is none.
    pub(super) fn longest_window(&self) -> usize {
        self.longest_window
    }

    /// The number of features per source column.
    fn per_column(&self) -> usize {
        let statistics = [self.mean, self.std, self.z_score];
        let statistics = statistics.iter().filter(|&&asked| asked).count();
        self.lags.len() + self.windows.len() * statistics + usize::from(self.difference)
    }

    /// The number of features of a row.
    pub(super) fn width(&self) -> usize {
        let of_columns = self.n_columns.saturating_mul(self.per_column());
        of_columns.saturating_add(2 * self.cycles.len())
    }

    /// Writes the time features of one row; `row` has room for all its features.
    pub(super) fn write_time(&self, time: Option<i64>, row: &mut [f64]) {
        let first = self.n_columns * self.per_column();
        for (cycle, pair) in self.cycles.iter().zip(row[first..].chunks_exact_mut(2)) {
            let (sin, cos) = time.map_or((f64::NAN, f64::NAN), |time| cycle.sin_cos(time));
            pair[0] = sin;
            pair[1] = cos;
        }
    }

    /// Writes the features of one column for the rows whose values are `source[depth..]`, and adds these values to `moments`.
    /// `source[..depth]` are the values before them, which `moments` already has. Missing values are NaN.
    pub(super) fn write_column(
        &self,
        moments: &mut RollingMoments,
        source: &[f64],
        target: &mut Target<'_>,
    ) {
        let n = source.len() - self.depth;
        let room = moments.room();
        for start in (0..n).step_by(room) {
            let rows = start..n.min(start + room);
            moments.extend(&source[self.depth + rows.start..self.depth + rows.end]);
            self.write_chunk(moments, source, rows, target);
        }
    }

    fn write_chunk(
        &self,
        moments: &mut RollingMoments,
        source: &[f64],
        rows: Range<usize>,
        target: &mut Target<'_>,
    ) {
        let width = self.width();
        let mut feature = target.column * self.per_column();
        let out = &mut target.out[rows.start * width..rows.end * width];
        let own = &source[self.depth + rows.start..self.depth + rows.end];
        let back = |by: usize| &source[self.depth - by + rows.start..self.depth - by + rows.end];
        for &lag in &self.lags {
            for (row, &value) in out.chunks_exact_mut(width).zip(back(lag)) {
                row[feature] = value;
            }
            feature += 1;
        }
        for window in &self.windows {
            let moments = moments.before(window, own.len());
            let rows = out.chunks_mut(LANES * width).zip(own.chunks(LANES));
            for (group, (rows, own)) in rows.enumerate() {
                let mut values = [f64::NAN; LANES];
                values[..own.len()].copy_from_slice(own);
                let statistics = Statistics::of(&moments.get(group), &values);
                let rows = rows.chunks_exact_mut(width);
                for (lane, row) in rows.enumerate() {
                    let mut feature = feature;
                    for (asked, statistic) in [
                        (self.mean, &statistics.mean),
                        (self.std, &statistics.std),
                        (self.z_score, &statistics.z_score),
                    ] {
                        if asked {
                            row[feature] = statistic[lane];
                            feature += 1;
                        }
                    }
                }
            }
            feature += [self.mean, self.std, self.z_score]
                .iter()
                .filter(|&&asked| asked)
                .count();
        }
        if self.difference {
            let pairs = own.iter().zip(back(1));
            for (row, (&value, &before)) in out.chunks_exact_mut(width).zip(pairs) {
                row[feature] = finite(value - before);
            }
        }
    }
}

/// The rolling statistics of [`LANES`] rows.
struct Statistics {
    mean: [f64; LANES],
    std: [f64; LANES],
    z_score: [f64; LANES],
}

impl Statistics {
    /// The statistics, from the moments of the rows' windows and the rows' own values.
    #[inline(always)]
    fn of(moments: &Moments, values: &[f64; LANES]) -> Self {
        let count = &moments.count;
        let missing = |least: f64, i: usize| if count[i] >= least { 0.0 } else { f64::NAN };
        let mean: [f64; LANES] = from_fn(|i| finite(moments.mean[i] + missing(1.0, i)));
        let variance: [f64; LANES] =
            from_fn(|i| moments.squares[i] / (count[i] - 1.0 + missing(2.0, i)));
        let std = variance.map(|variance| finite(variance.sqrt()));
        let distance: [f64; LANES] = from_fn(|i| values[i] - mean[i]);
        let z_score = from_fn(|i| {
            let within = (distance[i] / std[i]).clamp(-Z_LIMIT, Z_LIMIT);
            let equal = distance[i] == 0.0 && std[i] == 0.0;
            if equal { 0.0 } else { finite(within) }
        });
        Self { mean, std, z_score }
    }
}

/// The value, or NaN if it is infinite.
#[inline(always)]
pub(super) fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { f64::NAN }
}
