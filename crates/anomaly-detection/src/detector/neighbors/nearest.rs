//! The nearest points that a search has found so far.

/// One of the nearest points. Equal rows are one point with several copies.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(in crate::detector) struct Neighbor {
    /// The squared distance to it.
    pub(in crate::detector) squared: f64,
    /// Its position in the index.
    pub(in crate::detector) position: u32,
    /// How many of the nearest rows are copies of it.
    pub(in crate::detector) copies: u32,
}

impl Neighbor {
    /// The distance to it.
    pub(in crate::detector) fn distance(&self) -> f64 {
        self.squared.sqrt()
    }

    /// Whether it comes before another point: it is nearer, or as near and at a lower position. The order is strict, so that the
    /// nearest points do not depend on the order of the search.
    fn precedes(&self, other: &Self) -> bool {
        self.squared < other.squared
            || (self.squared == other.squared && self.position < other.position)
    }
}

/// Up to this many points, the place of a new one is found by comparing it with all of them at once.
const FEW: usize = 64;

/// The nearest points, nearest first, and no more of them than are needed for the wanted number of rows.
#[derive(Debug, Clone)]
pub(super) struct Nearest {
    wanted: usize,
    n_rows: usize,
    bound: f64,
    found: Vec<Neighbor>,
    /// Their squared distances in one array, to be compared at once.
    squares: Vec<f64>,
}

impl Nearest {
    /// No points, for a search for `wanted` rows.
    pub(super) fn new(wanted: usize) -> Self {
        Self {
            wanted,
            n_rows: 0,
            bound: f64::INFINITY,
            found: Vec::with_capacity(FEW.min(wanted + 1)),
            squares: Vec::with_capacity(FEW.min(wanted + 1)),
        }
    }

    /// Removes all points.
    pub(super) fn clear(&mut self) {
        self.n_rows = 0;
        self.bound = f64::INFINITY;
        self.found.clear();
        self.squares.clear();
    }

    /// The squared distance beyond which no point is needed. Points at exactly this distance may still be.
    #[inline]
    pub(super) fn bound(&self) -> f64 {
        self.bound
    }

    /// The number of rows that are wanted.
    #[inline]
    pub(super) fn wanted(&self) -> usize {
        self.wanted
    }

    /// Lowers the bound to a squared distance within which there are as many rows as wanted.
    #[inline]
    pub(super) fn limit(&mut self, bound: f64) {
        self.bound = self.bound.min(bound);
    }

    /// Adds a point if it is near enough. Each point may be offered once.
    #[inline]
    pub(super) fn offer(&mut self, candidate: Neighbor) {
        if candidate.squared > self.bound || candidate.copies == 0 {
            return;
        }
        let place = self.place(&candidate);
        self.found.insert(place, candidate);
        self.squares.insert(place, candidate.squared);
        self.n_rows += candidate.copies as usize;
        while let Some(last) = self.found.last() {
            let without = self.n_rows - last.copies as usize;
            if without < self.wanted {
                break;
            }
            self.n_rows = without;
            self.found.pop();
            self.squares.pop();
        }
        if let (Some(last), true) = (self.found.last(), self.n_rows >= self.wanted) {
            self.bound = last.squared;
        }
    }

    /// How many of the points found precede a point.
    #[inline]
    fn place(&self, candidate: &Neighbor) -> usize {
        if self.found.len() > FEW {
            return self.found.partition_point(|it| it.precedes(candidate));
        }
        let nearer = self
            .squares
            .iter()
            .map(|&it| u64::from(it < candidate.squared));
        let place = nearer.sum::<u64>() as usize;
        let as_near = self.found[place..].iter();
        place + as_near.take_while(|it| it.precedes(candidate)).count()
    }

    /// The nearest points, with no more copies in all than rows are wanted.
    pub(super) fn finish(&mut self) -> &[Neighbor] {
        let excess = self.n_rows.saturating_sub(self.wanted);
        if let Some(last) = self.found.last_mut() {
            last.copies -= excess as u32;
            self.n_rows -= excess;
        }
        &self.found
    }
}
