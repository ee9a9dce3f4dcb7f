//! Rolling moments that depend bit for bit on the values of a window alone, at a cost logarithmic in its length.
//!
//! Running sums drift: their rounding errors depend on all values that have ever passed through them. Here the moments of the 2^k
//! values that end at a row are merged from those of the two halves, level by level (Chan, Golub and LeVeque, "Algorithms for
//! computing the sample variance", 1983). A window is merged from such blocks, one for each binary digit 1 of its length, the
//! shortest nearest to its end. The order of the merges depends only on the distance of the values to the row, so that a window
//! has the same moments in a batch, row by row, and after a start from a stored history. Rounding errors grow with the logarithm
//! of the length, and a constant window has a standard deviation of exactly 0.

/// How many rows are merged at a time, in SIMD lanes.
pub(super) const LANES: usize = 4;

/// Count, mean and sum of squared deviations of four runs of values. All are 0 for a run without values.
#[derive(Clone, Copy)]
pub(super) struct Moments {
    pub(super) count: [f64; LANES],
    pub(super) mean: [f64; LANES],
    pub(super) squares: [f64; LANES],
}

/// The moments of consecutive rows, four at a time.
#[derive(Clone, Copy)]
pub(super) struct Run<'a> {
    count: &'a [[f64; LANES]],
    mean: &'a [[f64; LANES]],
    squares: &'a [[f64; LANES]],
}

impl Run<'_> {
    #[inline(always)]
    pub(super) fn get(&self, group: usize) -> Moments {
        Moments {
            count: self.count[group],
            mean: self.mean[group],
            squares: self.squares[group],
        }
    }
}

struct RunMut<'a> {
    count: &'a mut [[f64; LANES]],
    mean: &'a mut [[f64; LANES]],
    squares: &'a mut [[f64; LANES]],
}

impl RunMut<'_> {
    fn copy_from(&mut self, other: Run<'_>) {
        self.count.copy_from_slice(other.count);
        self.mean.copy_from_slice(other.mean);
        self.squares.copy_from_slice(other.squares);
    }

    /// Merges earlier moments into those of each row.
    fn merge_after(&mut self, earlier: Run<'_>) {
        let Self {
            count,
            mean,
            squares,
        } = self;
        merge(
            earlier.count.as_flattened(),
            earlier.mean.as_flattened(),
            earlier.squares.as_flattened(),
            count.as_flattened_mut(),
            mean.as_flattened_mut(),
            squares.as_flattened_mut(),
        );
    }
}

/// Merges earlier moments into later ones, row by row.
///
/// A function of its own with slices as arguments, so that the compiler knows that they do not overlap and vectorises the loop.
#[inline(never)]
fn merge(
    earlier_count: &[f64],
    earlier_mean: &[f64],
    earlier_squares: &[f64],
    count: &mut [f64],
    mean: &mut [f64],
    squares: &mut [f64],
) {
    let n = count.len();
    let (earlier_count, earlier_mean) = (&earlier_count[..n], &earlier_mean[..n]);
    let (earlier_squares, mean, squares) =
        (&earlier_squares[..n], &mut mean[..n], &mut squares[..n]);
    for i in 0..n {
        let both = earlier_count[i] + count[i];
        let share = count[i] / both.max(1.0);
        let delta = mean[i] - earlier_mean[i];
        // multiplied in this order, a run without values adds 0 even if the square of delta overflows
        let between = delta * (earlier_count[i] * share) * delta;
        count[i] = both;
        mean[i] = earlier_mean[i] + delta * share;
        squares[i] += earlier_squares[i] + between;
    }
}

/// The moments of all blocks of 2^k values that end at the latest rows.
#[derive(Debug, Clone)]
struct Level {
    /// How many of the latest rows are kept: 2^k.
    keep: usize,
    /// The index of the next row.
    next: usize,
    count: Vec<f64>,
    mean: Vec<f64>,
    squares: Vec<f64>,
}

impl Level {
    fn new(keep: usize, room: usize) -> Self {
        let length = Self::length(keep, room);
        Self {
            keep,
            next: keep,
            count: vec![0.0; length],
            mean: vec![0.0; length],
            squares: vec![0.0; length],
        }
    }

    /// The length of the buffers: with as much room for new rows as is kept, moving the kept rows to the front has a constant
    /// amortised cost.
    fn length(keep: usize, room: usize) -> usize {
        keep + keep.max(room) + LANES
    }

    fn clear(&mut self) {
        self.next = self.keep;
        for column in [&mut self.count, &mut self.mean, &mut self.squares] {
            column[..self.keep].fill(0.0);
        }
    }

    /// Makes room for `n` more rows.
    fn make_room(&mut self, n: usize) {
        if self.next + n + LANES <= self.count.len() {
            return;
        }
        let kept = self.next - self.keep..self.next;
        for column in [&mut self.count, &mut self.mean, &mut self.squares] {
            column.copy_within(kept.clone(), 0);
        }
        self.next = self.keep;
    }

    /// The moments of `n_groups` groups of four rows from a row on.
    fn run(&self, row: usize, n_groups: usize) -> Run<'_> {
        Run {
            count: groups(&self.count, row, n_groups),
            mean: groups(&self.mean, row, n_groups),
            squares: groups(&self.squares, row, n_groups),
        }
    }

    fn run_mut(&mut self, row: usize, n_groups: usize) -> RunMut<'_> {
        RunMut {
            count: groups_mut(&mut self.count, row, n_groups),
            mean: groups_mut(&mut self.mean, row, n_groups),
            squares: groups_mut(&mut self.squares, row, n_groups),
        }
    }
}

fn groups(values: &[f64], at: usize, n_groups: usize) -> &[[f64; LANES]] {
    values[at..at + n_groups * LANES].as_chunks().0
}

fn groups_mut(values: &mut [f64], at: usize, n_groups: usize) -> &mut [[f64; LANES]] {
    values[at..at + n_groups * LANES].as_chunks_mut().0
}

/// The blocks that a window is merged from, from the shortest, at its end, to the longest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Window {
    /// The level of each block, and how many rows before the end of the window it ends.
    blocks: Vec<(usize, usize)>,
}

impl Window {
    /// A window of `length` rows.
    pub(super) fn new(length: usize) -> Self {
        let mut offset = 0;
        let blocks = (0..usize::BITS as usize)
            .filter(|level| (length >> level) & 1 == 1)
            .map(|level| {
                let block = (level, offset);
                offset += 1 << level;
                block
            })
            .collect();
        Self { blocks }
    }
}

/// The lengths of the blocks that windows of up to `longest` rows are merged from.
fn keeps(longest: usize) -> impl Iterator<Item = usize> {
    (0..usize::BITS - longest.leading_zeros()).map(|level| 1 << level)
}

/// The rolling moments of one column.
#[derive(Debug, Clone)]
pub(super) struct RollingMoments {
    levels: Vec<Level>,
    /// The windows of the last call of [`before`](Self::before).
    merged: Level,
    room: usize,
}

impl RollingMoments {
    /// The moments of windows of up to `longest` rows, before the first value. `room` is the most rows that are added at once.
    pub(super) fn new(longest: usize, room: usize) -> Self {
        Self {
            merged: Level::new(0, room),
            levels: keeps(longest).map(|keep| Level::new(keep, room)).collect(),
            room,
        }
    }

    /// Forgets all rows and starts again with the values of any number of rows.
    pub(super) fn restart(&mut self, values: &[f64]) {
        self.levels.iter_mut().for_each(Level::clear);
        self.start(values);
    }

    /// Adds the values of any number of rows before any other.
    pub(super) fn start(&mut self, values: &[f64]) {
        // missing values at the start are the same as no rows
        let first = values.iter().position(|value| value.is_finite());
        for values in values[first.unwrap_or(values.len())..].chunks(self.room) {
            self.extend(values);
        }
    }

    /// The size in bytes of the moments of windows of up to `longest` rows.
    pub(super) fn size(longest: usize, room: usize) -> usize {
        let numbers: usize = keeps(longest)
            .map(|keep| 3 * Level::length(keep, room))
            .sum();
        numbers * size_of::<f64>()
    }

    /// The most rows that are added at once.
    pub(super) fn room(&self) -> usize {
        self.room
    }

    /// Adds the values of the next rows, at most [`room`](Self::room) of them. Values that are not finite are missing.
    pub(super) fn extend(&mut self, values: &[f64]) {
        let n = values.len();
        let Some((first, _)) = self.levels.split_first_mut() else {
            return;
        };
        first.make_room(n);
        for (at, &value) in values.iter().enumerate() {
            let present = value.is_finite();
            first.count[first.next + at] = if present { 1.0 } else { 0.0 };
            first.mean[first.next + at] = if present { value } else { 0.0 };
        }
        // the lanes past the last row hold arbitrary moments, which the next rows replace
        let n_groups = n.div_ceil(LANES);
        for upper in 1..self.levels.len() {
            let (below, above) = self.levels.split_at_mut(upper);
            let (lower, upper) = (&below[upper - 1], &mut above[0]);
            upper.make_room(n);
            let mut merged = upper.run_mut(upper.next, n_groups);
            merged.copy_from(lower.run(lower.next, n_groups));
            merged.merge_after(lower.run(lower.next - lower.keep, n_groups));
        }
        for level in &mut self.levels {
            level.next += n;
        }
    }

    /// The moments of the windows before each of the last `n` rows added, in groups of four; lanes past the last row are
    /// arbitrary.
    pub(super) fn before(&mut self, window: &Window, n: usize) -> Run<'_> {
        let n_groups = n.div_ceil(LANES);
        let Self { levels, merged, .. } = self;
        let of = |&(level, offset): &(usize, usize)| {
            let level: &Level = &levels[level];
            level.run(level.next - n - 1 - offset, n_groups)
        };
        let mut run = merged.run_mut(0, n_groups);
        if let [first, others @ ..] = &window.blocks[..] {
            run.copy_from(of(first));
            for block in others {
                run.merge_after(of(block));
            }
        }
        merged.run(0, n_groups)
    }
}
