//! The extended forest (Hariri, Carrasco Kind and Brunner, 2018): splits by hyperplanes that combine several features.
//!
//! A hyperplane has a normal vector of `ndim` Gaussian numbers and passes through a uniform point of the bounding box of a
//! node's rows. Two things differ from the paper. The box is scaled to a cube first, so that units do not matter. And if the
//! point leaves all rows on one side, the offset is drawn uniformly between the outermost rows instead, so that no child is
//! empty, as the normalisation of the score assumes.

use rand::RngExt;

use super::extended::{Term, project};
use super::grow::{Candidates, Columns, Range, Splitter, partition, threshold};
use super::normal::normal;
use crate::detector::random::TreeRng;

/// Splits by hyperplanes.
pub(super) struct PlaneSplitter {
    ndim: usize,
    projections: Vec<f64>,
}

impl PlaneSplitter {
    pub(super) fn new(ndim: usize) -> Self {
        Self {
            ndim,
            projections: Vec::new(),
        }
    }
}

/// Rows whose projection exceeds the threshold go to the second child.
pub(super) struct PlaneSplit {
    /// `ndim` terms.
    pub(super) terms: Vec<Term>,
    pub(super) threshold: f32,
}

impl Splitter for PlaneSplitter {
    type Split = PlaneSplit;

    fn split(
        &mut self,
        columns: &Columns,
        rows: &mut [u32],
        candidates: &mut Candidates<'_>,
        rng: &mut TreeRng,
    ) -> Option<(PlaneSplit, usize)> {
        let mut n_drawn = 0;
        let mut axes: Vec<Range> = Vec::with_capacity(self.ndim);
        while axes.len() < self.ndim {
            let Some(axis) = candidates.draw(columns, rows, &mut n_drawn, rng) else {
                break;
            };
            axes.push(axis);
        }
        let &first = axes.first()?;
        let plane = if axes.len() > 1 {
            self.plane(&axes, columns, rows, rng)
        } else {
            None
        };
        // constant features, or projections that single precision cannot distinguish: split on one feature
        let (mut terms, threshold) = plane.unwrap_or_else(|| {
            let term = Term {
                coefficient: 1.0,
                feature: first.column,
            };
            (vec![term], threshold(first.min, first.max, rng))
        });
        let middle = partition(rows, |row| {
            project(&terms, |column| columns.column(column)[row as usize]) > f64::from(threshold)
        });
        for term in &mut terms {
            term.feature = columns.feature(term.feature);
        }
        let padding = Term {
            coefficient: 0.0,
            feature: 0,
        };
        terms.resize(self.ndim, padding);
        Some((PlaneSplit { terms, threshold }, middle))
    }
}

impl PlaneSplitter {
    /// A plane that separates the rows; its terms name columns. `None` if rounding leaves all rows on one side.
    fn plane(
        &mut self,
        axes: &[Range],
        columns: &Columns,
        rows: &[u32],
        rng: &mut TreeRng,
    ) -> Option<(Vec<Term>, f32)> {
        const LARGEST: f64 = f32::MAX as f64;
        let mut offset = 0.0;
        let terms: Vec<Term> = axes
            .iter()
            .map(|axis| {
                let (min, width) = (
                    f64::from(axis.min),
                    f64::from(axis.max) - f64::from(axis.min),
                );
                let coefficient = (normal(rng) / width).clamp(-LARGEST, LARGEST) as f32;
                offset += f64::from(coefficient) * (min + width * rng.random::<f64>());
                Term {
                    coefficient,
                    feature: axis.column,
                }
            })
            .collect();
        self.projections.clear();
        self.projections.extend(
            rows.iter()
                .map(|&row| project(&terms, |column| columns.column(column)[row as usize])),
        );
        let min = self
            .projections
            .iter()
            .copied()
            .fold(f64::INFINITY, f64::min);
        let max = self
            .projections
            .iter()
            .copied()
            .fold(f64::NEG_INFINITY, f64::max);
        let separates = |threshold: f32| (min..max).contains(&f64::from(threshold));
        let threshold = if (min..max).contains(&offset) {
            offset as f32
        } else {
            (min + rng.random::<f64>() * (max - min)) as f32
        };
        separates(threshold).then_some((terms, threshold))
    }
}
