//! The members of all samples, in the order in which scoring reads them.

use serde::{Deserialize, Serialize};

use super::frame::LIMIT;
use super::kernel::LANES;
use crate::detector::simd::F32x8;
use crate::error::{Error, Result, reason};

/// The most bytes that the members may take.
const MAX_BYTES: u64 = 1 << 30;

/// The coordinates of the members, ordered by group of [`LANES`] samples, member, feature and sample within the group. The last
/// group is padded with samples of zeros.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct References {
    n_features: usize,
    n_members: usize,
    n_groups: usize,
    #[serde(with = "crate::le_bytes")]
    values: Vec<f32>,
}

/// The members of a group of [`LANES`] samples.
pub(super) struct GroupMut<'a> {
    n_features: usize,
    values: &'a mut [f32],
}

impl GroupMut<'_> {
    /// Sets a coordinate of the member at `place` of the sample `lane` of the group.
    pub(super) fn set(&mut self, lane: usize, place: usize, feature: usize, x: f32) {
        self.values[(place * self.n_features + feature) * LANES + lane] = x;
    }
}

/// Fails if samples of this many rows would take more than [`MAX_BYTES`]. To be called before allocating.
pub(super) fn check_size(n_samples: usize, n_members: usize, n_features: usize) -> Result<()> {
    let bytes = [n_members, n_features, LANES * size_of::<f32>()]
        .iter()
        .fold(n_samples.div_ceil(LANES) as u64, |product, &factor| {
            product.saturating_mul(factor as u64)
        });
    if bytes <= MAX_BYTES {
        return Ok(());
    }
    let message = format!(
        "{n_samples} samples of {n_members} rows of {n_features} features take {bytes} bytes, and at most {MAX_BYTES} are \
         allowed; lower n_estimators or max_samples"
    );
    Err(Error::new(reason::INVALID_PARAMETER, message).at("n_estimators"))
}

impl References {
    /// Samples without members.
    pub(super) fn new(n_samples: usize, n_features: usize) -> Self {
        Self {
            n_features,
            n_members: 0,
            n_groups: n_samples.div_ceil(LANES),
            values: Vec::new(),
        }
    }

    /// Gives each sample `n_members`, no fewer than it has.
    pub(super) fn grow(&mut self, n_members: usize) {
        if n_members <= self.n_members {
            return;
        }
        let per_member = self.n_features * LANES;
        let mut values = vec![0.0; self.n_groups * n_members * per_member];
        if self.n_members > 0 {
            let old = self.values.chunks_exact(self.n_members * per_member);
            for (new, old) in values.chunks_exact_mut(n_members * per_member).zip(old) {
                new[..old.len()].copy_from_slice(old);
            }
        }
        self.n_members = n_members;
        self.values = values;
    }

    /// The members of each group of [`LANES`] samples.
    pub(super) fn groups_mut(&mut self) -> Vec<GroupMut<'_>> {
        let n_features = self.n_features;
        self.values
            .chunks_exact_mut((self.n_members * n_features * LANES).max(1))
            .map(|values| GroupMut { n_features, values })
            .collect()
    }

    /// The coordinates: n_groups x n_members x n_features vectors of one value per sample.
    pub(super) fn lanes(&self) -> &[F32x8] {
        self.values.as_chunks().0
    }

    pub(super) fn size_bytes(&self) -> usize {
        size_of::<f32>() * self.values.len()
    }

    /// Whether stored members are this many of this many samples, with coordinates within [`LIMIT`].
    pub(super) fn is_sound(&self, n_samples: usize, n_members: usize, n_features: usize) -> bool {
        let n_groups = n_samples.div_ceil(LANES);
        self.n_groups == n_groups
            && self.n_members == n_members
            && self.n_features == n_features
            && check_size(n_samples, n_members, n_features).is_ok()
            && self.values.len() == n_groups * n_members * n_features * LANES
            && self.values.iter().all(|x| x.abs() <= LIMIT as f32)
    }
}
