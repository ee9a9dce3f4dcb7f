//! Hostile values, damaged artifacts, and the promise that a row's score depends on that row alone.

use ndarray::{Array2, Axis, s};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::super::*;
use super::{cloud, decode, encode, fit, layouts, sample, scores};

#[test]
fn damaged_forests_are_refused() {
    for params in layouts() {
        let sound = fit(&params, &cloud(1500, 3, 8));
        sound.validate().expect("a sound forest");
        let refused = |damage: &dyn Fn(&mut IsolationForest)| {
            let mut forest = sound.clone();
            damage(&mut forest);
            let error = forest.validate().expect_err("a damaged forest");
            assert_eq!(error.reason(), reason::DAMAGED_ARTIFACT);
            decode(&encode(&forest)).expect_err("a damaged artifact");
        };
        refused(&|forest| {
            forest.params = forest
                .params
                .clone()
                .with_n_estimators(1 + forest.params.n_estimators())
        });
        refused(&|forest| forest.params = forest.params.clone().with_n_estimators(0));
        refused(&|forest| forest.n_subsample = 1);
        refused(&|forest| forest.frame = fit(&params, &cloud(1500, 2, 8)).frame);
    }
}

/// Values that a table may hold, however unlikely.
fn hostile() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(0.0),
        Just(-0.0),
        Just(1e300),
        Just(-1e300),
        Just(1e-300),
        Just(5e-324),
        Just(f64::MAX),
        Just(f64::MIN),
        Just(1e9),
        Just(1e9 + 1.0),
        -10.0..10.0,
    ]
}

fn hostile_rows() -> impl Strategy<Value = Array2<f64>> {
    (2_usize..90, 1_usize..6).prop_flat_map(|(n_rows, n_features)| {
        proptest::collection::vec(hostile(), n_rows * n_features).prop_map(move |values| {
            Array2::from_shape_vec((n_rows, n_features), values).expect("as many values")
        })
    })
}

/// Small forests of each layout. A deep limit comes from the parameters only where there are rows enough.
fn small(ndim: usize) -> IsolationForestParams {
    IsolationForestParams::new()
        .with_n_estimators(19)
        .with_ndim(ndim)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn scores_of_finite_rows_are_probabilities(rows in hostile_rows(), ndim in 1_usize..3) {
        let forest = fit(&small(ndim.min(rows.ncols())), &rows);
        for score in scores(&forest, rows.view()) {
            prop_assert!(score > 0.0 && score <= 1.0, "{score}");
        }
        prop_assert_eq!(decode(&encode(&forest)).expect("a sound artifact"), forest);
    }

    #[test]
    fn a_row_scores_the_same_among_any_rows(rows in hostile_rows(), seed in 0_u64..1000, split in 0_usize..90) {
        for ndim in 1..=2.min(rows.ncols()) {
            let forest = fit(&small(ndim), &rows);
            let together = scores(&forest, rows.view());
            let split = split.min(rows.nrows());
            let (head, tail) = rows.view().split_at(Axis(0), split);
            prop_assert_eq!(&[scores(&forest, head), scores(&forest, tail)].concat(), &together);
            for (row, &score) in rows.axis_chunks_iter(Axis(0), 1).zip(&together) {
                prop_assert_eq!(scores(&forest, row)[0], score);
            }
            let mut order: Vec<usize> = (0..rows.nrows()).collect();
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
            for i in (1..order.len()).rev() {
                order.swap(i, rng.random_range(0..i as u32 + 1) as usize);
            }
            let permuted = scores(&forest, rows.select(Axis(0), &order).view());
            for (&position, score) in order.iter().zip(permuted) {
                prop_assert_eq!(score, together[position]);
            }
        }
    }

    #[test]
    fn mutated_artifacts_are_refused_or_harmless(
        layout in 0_usize..3,
        mutations in proptest::collection::vec((0.0..1.0, any::<u8>()), 1..8),
    ) {
        let rows = cloud(1100, 3, 9);
        let params = layouts()[layout].clone().with_n_estimators(3);
        let mut bytes = encode(&fit(&params, &rows));
        for (at, byte) in mutations {
            let at = (at * bytes.len() as f64) as usize;
            bytes[at] = byte;
        }
        if let Ok(forest) = decode(&bytes)
            && forest.n_features() == 3
        {
            let scores = scores(&forest, rows.slice(s![..100, ..]));
            prop_assert!(scores.iter().all(|score| *score > 0.0));
        }
    }
}

#[test]
fn wide_rows_are_scored_alike_alone_and_together() {
    let rows = cloud(100, 1000, 10) * 1e290;
    for params in layouts() {
        let params = params.with_max_features(MaxFeatures::Fraction(0.1));
        let forest = fit(&params, &rows);
        let together = scores(&forest, rows.view());
        for (row, &score) in rows.axis_chunks_iter(Axis(0), 1).zip(&together) {
            assert_eq!(scores(&forest, row)[0], score);
            assert!(score > 0.0 && score <= 1.0);
        }
    }
}

#[test]
fn vectors_change_nothing() {
    let rows = cloud(1000, 7, 12);
    for depth in 1..=perfect::MAX_DEPTH {
        let params = IsolationForestParams::new().with_max_samples(MaxSamples::Count(1 << depth));
        let forest = fit(&params, &rows);
        let Trees::Perfect(trees) = &forest.trees else {
            panic!("depth {depth} is {:?}", forest.trees);
        };
        for n_rows in [1, 31, 32, 33, BLOCK] {
            let mut block = vec![0.0; 7 * BLOCK];
            forest.frame.block(rows.slice(s![..n_rows, ..]), &mut block);
            let (mut sums, mut portable) = (vec![0.0; n_rows], vec![0.0; n_rows]);
            trees.add_block(&block, &mut sums);
            trees.add_block_portably(&block, &mut portable);
            assert_eq!(sums, portable, "depth {depth}, {n_rows} rows");
        }
    }
}

#[test]
fn deep_trees_score_alike_alone_and_together() {
    let rows = cloud(1500, 3, 11);
    let forest = fit(&layouts()[1], &rows);
    let together = scores(&forest, rows.view());
    for (row, &score) in rows.axis_chunks_iter(Axis(0), 1).zip(&together) {
        assert_eq!(scores(&forest, row)[0], score);
    }
}

#[test]
fn duplicates_score_one_half() {
    let rows = Array2::from_elem((300, 3), 7.5);
    for params in layouts() {
        let forest = fit(&params, &rows);
        for score in scores(&forest, rows.view()) {
            assert!((score - 0.5).abs() < 1e-6, "{score}");
        }
    }
}

#[test]
fn forests_that_are_too_large_are_refused_before_they_are_grown() {
    let rows = cloud(20_000, 40, 1);
    let cases = [
        (10_000, 1.0, 1, reason::INVALID_PARAMETER),
        (10_000, 0.02, 40, reason::INVALID_PARAMETER),
        (100, 1.0, 40, reason::CANCELLED),
    ];
    for (n_estimators, fraction, ndim, expected) in cases {
        let params = IsolationForestParams::new()
            .with_n_estimators(n_estimators)
            .with_max_samples(MaxSamples::Fraction(fraction))
            .with_ndim(ndim);
        // the forest that fits into memory need not be grown here
        let context = Context::new();
        context.cancel();
        let error = params
            .check_ref()
            .expect("each parameter alone is in range")
            .fit_rows(None, sample(&rows), &context)
            .expect_err("not grown");
        assert_eq!(error.reason(), expected, "{error}");
    }
}
