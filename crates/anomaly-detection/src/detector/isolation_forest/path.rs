//! Path lengths, in edges.

/// The average path length of an unsuccessful search in a binary search tree of `n` rows: c(n) of Liu, Ting and Zhou
/// (2008), section 2, with c(2) = 1.
pub(super) fn average_path_length(n: usize) -> f64 {
    const EULER_GAMMA: f64 = 0.577_215_664_901_532_9;
    match n {
        0 | 1 => 0.0,
        2 => 1.0,
        _ => {
            let n = n as f64;
            2.0 * ((n - 1.0).ln() + EULER_GAMMA) - 2.0 * (n - 1.0) / n
        }
    }
}

/// The depth at which trees stop growing: ceil(log2(n)), about the average depth of a tree of `n` rows.
pub(super) fn depth_limit(n: usize) -> u32 {
    n.max(2).next_power_of_two().trailing_zeros()
}

/// The longest path of a forest: 64 edges and c(2^64).
const LONGEST: f32 = 160.0;

/// Whether a forest can have a path of this length.
pub(super) fn is_path_length(path: f32) -> bool {
    (0.0..=LONGEST).contains(&path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn average_path_lengths_are_those_of_the_paper() {
        assert_eq!(average_path_length(1), 0.0);
        assert_eq!(average_path_length(2), 1.0);
        assert!((average_path_length(5) - 2.327_020_052_042_847_4).abs() < 1e-12);
        assert!((average_path_length(999) - 12.967_939_884_427_995).abs() < 1e-12);
    }

    #[test]
    fn trees_stop_at_the_ceiling_of_the_logarithm() {
        for (n, depth) in [(0, 1), (2, 1), (3, 2), (4, 2), (5, 3), (256, 8), (257, 9)] {
            assert_eq!(depth_limit(n), depth, "{n} rows");
        }
    }
}
