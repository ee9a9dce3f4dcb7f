//! The third moments of several features, as arrays.

use serde::{Deserialize, Serialize};

use super::ThirdMoment;
use crate::error::{Error, Result, reason};
use crate::statistics::moments::MAX_ROWS;
use crate::statistics::power_of_two::power_of_two;

/// The third moments of several features.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct ThirdMoments {
    #[serde(with = "crate::le_bytes")]
    pub(super) n: Vec<u64>,
    #[serde(with = "crate::le_bytes")]
    pub(super) mean: Vec<f64>,
    #[serde(with = "crate::le_bytes")]
    pub(super) mean_low: Vec<f64>,
    #[serde(with = "crate::le_bytes")]
    pub(super) scale: Vec<f64>,
    #[serde(with = "crate::le_bytes")]
    pub(super) m2: Vec<f64>,
    #[serde(with = "crate::le_bytes")]
    pub(super) m3: Vec<f64>,
}

impl ThirdMoments {
    /// The number of features.
    pub(crate) fn n_features(&self) -> usize {
        self.n.len()
    }

    /// Appends the moments of one more feature.
    pub(crate) fn push(&mut self, moment: ThirdMoment) {
        self.n.push(moment.n);
        self.mean.push(moment.mean);
        self.mean_low.push(moment.mean_low);
        self.scale.push(moment.scale);
        self.m2.push(moment.m2);
        self.m3.push(moment.m3);
    }

    /// The moments of one feature.
    ///
    /// # Panics
    /// If there is no such feature.
    pub(crate) fn feature(&self, index: usize) -> ThirdMoment {
        ThirdMoment {
            n: self.n[index],
            mean: self.mean[index],
            mean_low: self.mean_low[index],
            scale: self.scale[index],
            m2: self.m2[index],
            m3: self.m3[index],
        }
    }

    /// Their size in memory, in bytes.
    pub(crate) fn size_bytes(&self) -> usize {
        size_of::<Self>() + 6 * 8 * self.n.len()
    }

    /// Checks moments that were read from outside.
    ///
    /// # Errors
    /// [`reason::DAMAGED_ARTIFACT`] when their parts do not fit together or cannot be the moments of any values.
    pub(crate) fn validate(&self) -> Result<()> {
        let d = self.n_features();
        let is_power = |scale: &f64| scale.is_normal() && *scale == power_of_two(*scale);
        let finite = [&self.mean, &self.mean_low, &self.m2, &self.m3];
        let fits = finite.iter().all(|numbers| numbers.len() == d)
            && finite
                .iter()
                .all(|numbers| numbers.iter().all(|x| x.is_finite()))
            && self.scale.len() == d
            && self.scale.iter().all(is_power)
            && self.m2.iter().all(|m2| *m2 >= 0.0);
        let counted = |i: usize| match self.n[i] {
            0 => self.feature(i) == ThirdMoment::default(),
            n => n <= MAX_ROWS,
        };
        if !(fits && (0..d).all(counted)) {
            let message = "the third moments are not possible";
            return Err(Error::new(reason::DAMAGED_ARTIFACT, message));
        }
        Ok(())
    }
}
