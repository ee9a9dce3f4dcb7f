//! The best split of a node: the threshold of some randomly drawn features that decreases the Gini impurity most.

use rand::RngExt;

use super::bins::Bins;
use crate::detector::random::TreeRng;
use crate::error::Result;

/// A row of a bag: the lower half holds its index; the upper half holds how often it was drawn, and in the highest bit whether
/// it is an anomaly.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drawn(u64);

impl Drawn {
    pub(super) fn new(row: u32, count: u32, is_anomaly: bool) -> Self {
        Self(u64::from(row) | u64::from(count) << 32 | u64::from(is_anomaly) << 63)
    }

    #[inline]
    pub(super) fn row(self) -> usize {
        self.0 as u32 as usize
    }

    #[inline]
    pub(super) fn counts(self) -> Counts {
        let count = (self.0 >> 32) & 0x7fff_ffff;
        Counts(count << (32 * (self.0 >> 63)))
    }
}

/// The number of drawn normal rows in the lower half, and of drawn anomalies in the upper half.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts(u64);

impl Counts {
    #[inline]
    pub(super) fn add(&mut self, other: Self) {
        self.0 += other.0;
    }

    /// These counts minus those of a part.
    #[inline]
    pub(super) fn without(self, part: Self) -> Self {
        Self(self.0 - part.0)
    }

    #[inline]
    pub(super) fn is_pure(self) -> bool {
        self.0 as u32 == 0 || self.0 >> 32 == 0
    }

    /// Whether both together hold only one class.
    #[inline]
    fn is_pure_with(self, other: Self) -> bool {
        Self(self.0 | other.0).is_pure()
    }

    /// The weights of both classes.
    #[inline]
    pub(super) fn weigh(self, (normal, anomaly): (f64, f64)) -> (f64, f64) {
        (
            f64::from(self.0 as u32) * normal,
            f64::from((self.0 >> 32) as u32) * anomaly,
        )
    }
}

/// The purity of weighted rows. The weighted Gini impurity is twice the weight of the anomalies minus twice this.
#[inline]
pub(super) fn purity((normal, anomaly): (f64, f64)) -> f64 {
    anomaly * (anomaly / (normal + anomaly))
}

/// Where to split a node: rows whose bin exceeds `code` go right.
#[derive(Debug, Clone, Copy)]
pub(super) struct Split {
    pub(super) slot: usize,
    pub(super) code: u8,
    pub(super) left: Counts,
    /// The sum of the purities of both sides.
    pub(super) purity: f64,
}

/// The slots in the order in which they are drawn, after those that are known to be constant in a node.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    order: Vec<u32>,
    /// How many features are constant in all rows, and have no slot.
    n_without: usize,
}

impl Candidates {
    pub(super) fn reset(&mut self, n_slots: usize, n_features: usize) {
        self.order.clear();
        self.order.extend(0..n_slots as u32);
        self.n_without = n_features - n_slots;
    }
}

/// Counts for each bin; empty between nodes.
#[derive(Debug)]
pub(super) struct Histogram {
    counts: [Counts; 256],
    /// The number of distinct rows, where the size of leaves is bounded.
    rows: [u32; 256],
    /// The bins that are not empty.
    marks: [u64; 4],
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: [Counts::default(); 256],
            rows: [0; 256],
            marks: [0; 4],
        }
    }
}

/// In nodes with fewer rows than this, non-empty bins are marked while counting; in larger ones they are found afterwards.
const SMALL: usize = 192;

impl Histogram {
    fn fill<const ROWS: bool>(&mut self, column: &[u8], bag: &[Drawn]) {
        if bag.len() < SMALL {
            for &drawn in bag {
                let bin = usize::from(column[drawn.row()]);
                self.counts[bin].add(drawn.counts());
                self.marks[bin / 64] |= 1 << (bin % 64);
                if ROWS {
                    self.rows[bin] += 1;
                }
            }
        } else {
            for &drawn in bag {
                let bin = usize::from(column[drawn.row()]);
                self.counts[bin].add(drawn.counts());
                if ROWS {
                    self.rows[bin] += 1;
                }
            }
            for (mark, counts) in self.marks.iter_mut().zip(self.counts.chunks_exact(64)) {
                for (bit, count) in counts.iter().enumerate() {
                    *mark |= u64::from(count.0 != 0) << bit;
                }
            }
        }
    }

    fn n_filled(&self) -> u32 {
        self.marks.iter().map(|mark| mark.count_ones()).sum()
    }

    /// Empties the histogram in the order of the bins, calling `each` with the bin, its counts and its number of rows.
    #[inline]
    fn drain(&mut self, mut each: impl FnMut(u8, Counts, u32)) {
        for (word, mark) in self.marks.iter_mut().enumerate() {
            let mut rest = std::mem::take(mark);
            while rest != 0 {
                let bin = 64 * word + rest.trailing_zeros() as usize;
                rest &= rest - 1;
                let counts = std::mem::take(&mut self.counts[bin]);
                each(bin as u8, counts, std::mem::take(&mut self.rows[bin]));
            }
        }
    }
}

/// How nodes are split.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    /// How many features are drawn.
    pub(super) n_features: usize,
    /// The minimum number of rows in a leaf.
    pub(super) min_rows: usize,
    /// The weights of a normal row and an anomaly.
    pub(super) weights: (f64, f64),
}

/// A node to split: the rows of the bag that reach it, and their counts by class.
#[derive(Debug, Clone, Copy)]
pub(super) struct Task<'a> {
    pub(super) bins: &'a Bins,
    pub(super) rule: &'a Rule,
    pub(super) bag: &'a [Drawn],
    pub(super) total: Counts,
}

/// Finds splits.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    pub(super) candidates: Candidates,
    histogram: Histogram,
}

impl Splitter {
    /// The best split of a node with rows of both classes. `n_constant` is how many candidates are known to be constant in the
    /// node, and is updated. Features are drawn as in scikit-learn: constant ones count, but if all drawn features are
    /// constant, drawing continues. `work` is called with the number of values read.
    pub(super) fn split(
        &mut self,
        task: Task<'_>,
        n_constant: &mut usize,
        rng: &mut TreeRng,
        mut work: impl FnMut(usize) -> Result<()>,
    ) -> Result<Option<Split>> {
        let mut best: Option<Split> = None;
        let mut n_known = *n_constant + self.candidates.n_without;
        let mut end = self.candidates.order.len();
        let (mut n_drawn, mut n_varying) = (0, 0);
        while *n_constant < end && (n_drawn < task.rule.n_features || n_varying == 0) {
            n_drawn += 1;
            let drawn = rng.random_range(0..(n_known + end - *n_constant) as u32) as usize;
            let Some(drawn) = drawn.checked_sub(n_known) else {
                n_known -= 1;
                work(1)?;
                continue;
            };
            let at = *n_constant + drawn;
            let slot = self.candidates.order[at] as usize;
            work(task.bag.len())?;
            let varies = if task.rule.min_rows > 1 {
                self.evaluate::<true>(task, slot, &mut best)
            } else {
                self.evaluate::<false>(task, slot, &mut best)
            };
            if varies {
                n_varying += 1;
                end -= 1;
                self.candidates.order.swap(at, end);
            } else {
                self.candidates.order.swap(at, *n_constant);
                *n_constant += 1;
            }
        }
        Ok(best)
    }

    /// Replaces the best split if one on this feature is better. Returns whether the feature varies.
    fn evaluate<const ROWS: bool>(
        &mut self,
        task: Task<'_>,
        slot: usize,
        best: &mut Option<Split>,
    ) -> bool {
        let Task {
            bins,
            rule,
            bag,
            total,
        } = task;
        self.histogram.fill::<ROWS>(&bins.codes[slot], bag);
        let varies = self.histogram.n_filled() > 1;
        let mut highest = best.map_or(f64::NEG_INFINITY, |best| best.purity);
        let mut found = None;
        let mut left = Counts::default();
        let mut n_left = 0;
        let mut before = (0, Counts::default());
        self.histogram.drain(|bin, counts, n_rows| {
            let is_allowed = if ROWS {
                n_left >= rule.min_rows && bag.len() - n_left >= rule.min_rows
            } else {
                // between two bins of the same single class, the purity is no higher than at the ends of the run of such bins
                !before.1.is_pure_with(counts)
            };
            if is_allowed && left.0 != 0 {
                let right = total.without(left);
                let purity = purity(left.weigh(rule.weights)) + purity(right.weigh(rule.weights));
                if purity > highest {
                    highest = purity;
                    found = Some((before.0, bin, left));
                }
            }
            left.add(counts);
            n_left += n_rows as usize;
            before = (bin, counts);
        });
        if let Some((below, above, left)) = found {
            *best = Some(Split {
                slot,
                code: middle(bins.cuts.of_slot(slot), below, above),
                left,
                purity: highest,
            });
        }
        varies
    }
}

/// The threshold in the middle of the gap between two non-empty bins.
fn middle(cuts: &[f64], below: u8, above: u8) -> u8 {
    let gap = &cuts[usize::from(below)..usize::from(above)];
    let (Some(&first), Some(&last)) = (gap.first(), gap.last()) else {
        return below;
    };
    let middle = 0.5 * first + 0.5 * last;
    let next = gap.partition_point(|&cut| cut < middle).min(gap.len() - 1);
    let is_lower = next > 0 && middle - gap[next - 1] <= gap[next] - middle;
    below + (next - usize::from(is_lower)) as u8
}
