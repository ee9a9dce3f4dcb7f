//! Normal random numbers, for the split directions of an extended forest.

use rand::RngExt;

use crate::detector::random::TreeRng;

/// A standard normal number, by Marsaglia's polar method.
pub(super) fn normal(rng: &mut TreeRng) -> f64 {
    loop {
        let u = 2.0 * rng.random::<f64>() - 1.0;
        let v = 2.0 * rng.random::<f64>() - 1.0;
        let s = u * u + v * v;
        if s > 0.0 && s < 1.0 {
            return u * (-2.0 * s.ln() / s).sqrt();
        }
    }
}
