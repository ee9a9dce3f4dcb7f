//! Uniform samples of rows without replacement.

use rand::{RngExt as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::context::Context;
use crate::error::Result;

/// How many rows are drawn from between two checks of the context.
const ROWS_PER_CHECK: usize = 1 << 18;

/// A uniform sample of `n` rows without replacement, or of all rows if there are fewer (Knuth, The Art of Computer
/// Programming 2, 3.4.2, algorithm S). The same seed draws the same rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    /// How many rows are drawn.
    pub n: usize,
    /// The seed.
    pub seed: u64,
}

impl Draw {
    /// For each of `n_rows` rows in turn, whether it is drawn.
    pub fn marks(self, n_rows: usize) -> Marks {
        Marks {
            rng: Xoshiro256PlusPlus::seed_from_u64(self.seed),
            left: n_rows,
            wanted: self.n.min(n_rows),
        }
    }

    /// The indices of the rows that are drawn from `n_rows`, ascending.
    ///
    /// # Errors
    /// Those of [`Context::check`], which is called now and then.
    pub fn rows(self, n_rows: usize, context: &Context) -> Result<Vec<usize>> {
        let mut rows = Vec::with_capacity(self.n.min(n_rows));
        for (row, is_drawn) in self.marks(n_rows).enumerate() {
            if row % ROWS_PER_CHECK == 0 {
                context.check()?;
            }
            if is_drawn {
                rows.push(row);
            }
        }
        Ok(rows)
    }
}

/// Iterates over rows and says of each whether a [`Draw`] includes it.
#[derive(Debug, Clone)]
pub struct Marks {
    rng: Xoshiro256PlusPlus,
    /// How many rows are still to come.
    left: usize,
    /// How many of them are still to be drawn.
    wanted: usize,
}

impl Iterator for Marks {
    type Item = bool;

    fn next(&mut self) -> Option<bool> {
        if self.left == 0 {
            return None;
        }
        let is_drawn = self.rng.random_range(0..self.left) < self.wanted;
        self.left -= 1;
        self.wanted -= usize::from(is_drawn);
        Some(is_drawn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_drawn_with_the_same_probability() {
        let mut counts = [0_u32; 50];
        for seed in 0..5000 {
            let rows = Draw { n: 10, seed }
                .rows(50, &Context::new())
                .expect("drawn");
            assert_eq!(rows.len(), 10);
            assert!(rows.is_sorted_by(|a, b| a < b));
            for row in rows {
                counts[row] += 1;
            }
        }
        // each count is binomial(5000, 0.2): mean 1000, standard deviation 28
        assert!(
            counts.iter().all(|count| (860..=1140).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn all_are_drawn_where_there_are_no_more() {
        let draw = Draw { n: 5, seed: 0 };
        let rows = |draw: Draw, n| draw.rows(n, &Context::new()).expect("drawn");
        assert_eq!(rows(draw, 3), [0, 1, 2]);
        assert_eq!(rows(draw, 0), [0_usize; 0]);
        assert_eq!(rows(Draw { n: 0, ..draw }, 4), [0_usize; 0]);
        let context = Context::new();
        context.cancel();
        assert!(draw.rows(3, &context).is_err());
    }
}
