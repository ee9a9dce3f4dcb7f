use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn the_logarithm_agrees_with_the_library(x in prop_oneof![0.0..1.0f64, 0.0..1e6f64, 1e290..1e300f64, Just(0.4), Just(1e-300)]) {
        let (found, truth) = (log_1p(x), x.ln_1p());
        prop_assert!((found - truth).abs() <= 1e-13 * truth, "{x} {found} {truth}");
    }

    #[test]
    fn chosen_rows_ascend_and_spread(n in 0..5000usize, most in 1..600usize, seed: u64) {
        let rows = spread_rows(n, most, seed);
        prop_assert_eq!(rows.len(), n.min(most));
        prop_assert!(rows.is_sorted_by(|a, b| a < b) && rows.iter().all(|&row| row < n));
        let gap = rows.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0);
        prop_assert!(gap <= 2 * n.div_ceil(most));
    }
}
