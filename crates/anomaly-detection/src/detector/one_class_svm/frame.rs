//! The scaled coordinates in which the kernel is computed, and the form of the kernel in them.

use serde::{Deserialize, Serialize};

use super::params::{OneClassSvmParams, OneClassSvmValidParams, SvmGamma, SvmKernel};
use super::points::{MAX_VALUE, Points};
use super::rows::{DistinctRows, bounded};
use super::similarity::{Poly, Rbf, Sigmoid, Similarity};
use crate::context::Context;
use crate::error::Result;

/// The largest factor and offset of a kernel in scaled coordinates.
const MAX_FACTOR: f64 = 1e30;

/// The largest unit of scores; the smallest is its inverse.
const MAX_SCORE_UNIT: f64 = 1e200;

/// The scaling of rows for the kernel: subtracts the centre and multiplies by the scale in f64, and only then rounds to f32.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Frame {
    #[serde(with = "crate::le_bytes")]
    centre: Vec<f64>,
    scale: f64,
    form: Form,
    /// The kernel of the parameters where the scaled kernel is 1.
    score_unit: f64,
}

/// The kernel in scaled coordinates, in which that of a training row with itself is at most 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Form {
    /// [`Rbf`].
    Rbf,
    /// [`Poly`], which includes the linear kernel.
    Poly {
        factor: f64,
        offset: f64,
        degree: u32,
    },
    /// [`Sigmoid`].
    Sigmoid { factor: f64, offset: f64 },
}

/// An operation that is generic over the kernel.
pub(super) trait Visitor {
    /// The result.
    type Output;

    /// Runs it.
    fn visit<S: Similarity>(self, kernel: S) -> Self::Output;
}

impl Form {
    /// Runs an operation with the kernel.
    pub(super) fn visit<V: Visitor>(self, visitor: V) -> V::Output {
        match self {
            Self::Rbf => visitor.visit(Rbf),
            Self::Poly {
                factor,
                offset,
                degree,
            } => visitor.visit(Poly {
                factor,
                offset,
                degree,
            }),
            Self::Sigmoid { factor, offset } => visitor.visit(Sigmoid { factor, offset }),
        }
    }
}

/// The factor gamma for these rows.
pub(super) fn resolve_gamma(
    gamma: SvmGamma,
    rows: &DistinctRows<'_>,
    context: &Context,
) -> Result<f64> {
    let d = rows.n_features() as f64;
    match gamma {
        SvmGamma::Value(gamma) => Ok(gamma),
        SvmGamma::Auto => Ok(1.0 / d),
        SvmGamma::Scale => {
            let count = d * rows.weights().iter().sum::<f64>();
            let [sum] = rows.sum(context, |row| [row.iter().map(|&x| bounded(x)).sum()])?;
            let mean = sum / count;
            let [squares] = rows.sum(context, |row| {
                [row.iter().map(|&x| (bounded(x) - mean).powi(2)).sum()]
            })?;
            let variance = squares / count;
            let gamma = 1.0 / (d * variance);
            // the variance is 0 or underflows if all rows are the same or nearly so
            Ok(if variance >= f64::MIN_POSITIVE {
                gamma
            } else {
                1.0
            })
        }
    }
}

impl Frame {
    /// Fits the frame to these rows; returns it with the scaled rows.
    pub(super) fn learn(
        params: &OneClassSvmValidParams,
        gamma: f64,
        rows: &DistinctRows<'_>,
        context: &Context,
    ) -> Result<(Self, Points)> {
        let mut frame = Self {
            centre: vec![0.0; rows.n_features()],
            scale: 1.0,
            form: Form::Rbf,
            score_unit: 1.0,
        };
        if params.kernel() == SvmKernel::Rbf {
            frame.centre = rows.means(context)?;
            // rounding may move the mean of the largest values beyond their bound
            frame
                .centre
                .iter_mut()
                .for_each(|mean| *mean = bounded(*mean));
            frame.scale = gamma.sqrt() * std::f64::consts::LOG2_E.sqrt();
            let points = frame.points(rows, context)?;
            return Ok((frame, points));
        }
        // the origin stays and the scale is a power of two, so that products of rows are only scaled
        let largest = rows.largest(context)?;
        frame.scale = if largest > 0.0 {
            (-largest.log2().ceil()).min(1000.0).exp2()
        } else {
            1.0
        };
        let points = frame.points(rows, context)?;
        let squared = points.largest_squared_norm();
        frame.set_form(params, gamma, squared);
        Ok((frame, points))
    }

    fn set_form(&mut self, params: &OneClassSvmValidParams, gamma: f64, squared: f64) {
        let (gamma, coef0, degree) = match params.kernel() {
            SvmKernel::Linear => (1.0, 0.0, 1),
            _ => (gamma, params.coef0(), params.degree()),
        };
        let unit = 1.0 / self.scale;
        if params.kernel() == SvmKernel::Sigmoid {
            self.form = Form::Sigmoid {
                factor: (gamma * unit * unit).min(MAX_FACTOR),
                offset: coef0.clamp(-MAX_FACTOR, MAX_FACTOR),
            };
            return;
        }
        // the largest base is gamma unit^2 (squared + offset)
        let offset = coef0.abs() / gamma * self.scale * self.scale;
        let base = squared + offset;
        let (factor, offset) = if base == 0.0 {
            (0.0, 0.0)
        } else if base.is_finite() && base >= f64::MIN_POSITIVE {
            (1.0 / base, (offset / base).copysign(coef0))
        } else {
            (0.0, 1.0_f64.copysign(coef0))
        };
        self.form = Form::Poly {
            factor: factor.min(MAX_FACTOR),
            offset,
            degree,
        };
        let base = (gamma * unit * unit * squared + coef0.abs()).min(f64::MAX);
        let score_unit = base.powi(degree as i32);
        self.score_unit = if base == 0.0 { 1.0 } else { score_unit };
        self.score_unit = self.score_unit.clamp(1.0 / MAX_SCORE_UNIT, MAX_SCORE_UNIT);
    }

    /// The scaled rows.
    fn points(&self, rows: &DistinctRows<'_>, context: &Context) -> Result<Points> {
        let mut points = Points::zeros(rows.n_rows(), rows.n_features());
        let mut row = vec![0.0; rows.n_features()];
        let checked = ((1 << 20) / rows.n_features()).max(1);
        for i in 0..rows.n_rows() {
            if i % checked == 0 {
                context.check()?;
            }
            self.project(rows.row(i), &mut row);
            points.set(i, &row);
        }
        Ok(points)
    }

    /// A scaled row.
    pub(super) fn project(&self, row: &[f64], out: &mut [f32]) {
        for ((out, &x), &centre) in out.iter_mut().zip(row).zip(&self.centre) {
            let value = (bounded(x) - centre) * self.scale;
            *out = (value as f32).clamp(-MAX_VALUE, MAX_VALUE);
        }
    }

    /// The number of features.
    pub(super) fn n_features(&self) -> usize {
        self.centre.len()
    }

    /// The kernel.
    pub(super) fn form(&self) -> Form {
        self.form
    }

    /// The kernel of the parameters where the scaled kernel is 1.
    pub(super) fn score_unit(&self) -> f64 {
        self.score_unit
    }

    /// Its size on the heap, in bytes.
    pub(super) fn size_bytes(&self) -> usize {
        8 * self.centre.len()
    }

    /// Whether a stored kernel is that of the parameters.
    pub(super) fn suits(&self, params: &OneClassSvmParams) -> bool {
        match (self.form, params.kernel()) {
            (Form::Rbf, SvmKernel::Rbf) | (Form::Sigmoid { .. }, SvmKernel::Sigmoid) => true,
            (Form::Poly { degree, .. }, SvmKernel::Poly) => degree == params.degree(),
            (Form::Poly { degree, .. }, SvmKernel::Linear) => degree == 1,
            _ => false,
        }
    }

    /// Whether a stored frame gives finite scores.
    pub(super) fn is_sound(&self) -> bool {
        let is_factor = |x: f64| x.abs() <= MAX_FACTOR;
        let form = match self.form {
            Form::Rbf => true,
            Form::Poly { factor, offset, .. } | Form::Sigmoid { factor, offset } => {
                is_factor(factor) && is_factor(offset)
            }
        };
        form && self.scale > 0.0
            && self.scale.is_finite()
            && self.centre.iter().all(|x| *x == bounded(*x))
            && (1.0 / MAX_SCORE_UNIT..=MAX_SCORE_UNIT).contains(&self.score_unit)
    }
}
