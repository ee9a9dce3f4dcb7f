mod robustness;

use ndarray::{Array2, ArrayView2, array, s};
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::ThreadPoolBuilder;

use super::*;

fn sample(rows: &Array2<f64>) -> Sample<'_> {
    Sample::complete(rows.view())
}

fn fit(params: &IsolationForestParams, rows: &Array2<f64>) -> IsolationForest {
    let params = params.check_ref().expect("valid parameters");
    params
        .fit_rows(None, sample(rows), &Context::new())
        .expect("rows that a forest can be grown on")
}

fn scores(forest: &IsolationForest, rows: ArrayView2<'_, f64>) -> Vec<f64> {
    let mut scores = vec![0.0; rows.nrows()];
    forest.score_chunk(rows, &mut scores);
    scores
}

fn encode(forest: &IsolationForest) -> Vec<u8> {
    crate::messagepack::written(forest).expect("a forest that can be written")
}

fn decode(bytes: &[u8]) -> Result<IsolationForest, erased_serde::Error> {
    crate::messagepack::read(bytes)
}

/// Rows around the origin.
fn cloud(n_rows: usize, n_features: usize, seed: u64) -> Array2<f64> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    Array2::from_shape_simple_fn((n_rows, n_features), || normal::normal(&mut rng))
}

/// One set of parameters for each layout, small.
fn layouts() -> [IsolationForestParams; 3] {
    let perfect = IsolationForestParams::new().with_n_estimators(21);
    let compact = perfect.clone().with_max_samples(MaxSamples::Count(1100));
    let extended = perfect.clone().with_ndim(2);
    [perfect, compact, extended]
}

#[test]
fn errors_name_the_parameter_that_is_out_of_range() {
    let default = IsolationForestParams::default;
    let wrong = [
        ("n_estimators", default().with_n_estimators(0)),
        ("n_estimators", default().with_n_estimators(10_001)),
        (
            "max_samples",
            default().with_max_samples(MaxSamples::Count(1)),
        ),
        (
            "max_samples",
            default().with_max_samples(MaxSamples::Fraction(f64::NAN)),
        ),
        (
            "max_features",
            default().with_max_features(MaxFeatures::Count(0)),
        ),
        (
            "max_features",
            default().with_max_features(MaxFeatures::Fraction(1.5)),
        ),
        ("ndim", default().with_ndim(0)),
    ];
    for (name, params) in wrong {
        let error = params.check().expect_err(name);
        assert_eq!(error.reason(), reason::INVALID_PARAMETER);
        assert_eq!(error.field_path(), Some(name));
    }
    let rows = cloud(10, 2, 0);
    let too_wide = [
        (
            "max_features",
            default().with_max_features(MaxFeatures::Count(3)),
        ),
        ("ndim", default().with_ndim(3)),
    ];
    for (name, params) in too_wide {
        let params = params.check().expect("valid for wider rows");
        let error = params
            .fit_rows(None, sample(&rows), &Context::new())
            .expect_err(name);
        assert_eq!(error.field_path(), Some(name));
    }
}

#[test]
fn one_row_is_too_few() {
    let params = IsolationForestParams::default().check().expect("defaults");
    for rows in [
        array![[1.0, 2.0]],
        Array2::zeros((0, 2)),
        Array2::zeros((5, 0)),
    ] {
        let error = params
            .fit_rows(None, sample(&rows), &Context::new())
            .expect_err("too little to grow on");
        assert_eq!(error.reason(), reason::UNUSABLE_ROWS);
    }
}

#[test]
fn a_cancelled_fit_stops() {
    let context = Context::new();
    context.cancel();
    for params in layouts() {
        let params = params.check().expect("valid parameters");
        let error = params
            .fit_rows(None, sample(&cloud(50, 3, 0)), &context)
            .expect_err("cancelled");
        assert_eq!(error.reason(), reason::CANCELLED);
    }
}

#[test]
fn each_layout_is_used_and_finds_the_outlier() {
    let mut rows = cloud(2000, 4, 1);
    rows.row_mut(1234).fill(9.0);
    for (index, params) in layouts().iter().enumerate() {
        let forest = fit(params, &rows);
        match (index, &forest.trees) {
            (0, Trees::Perfect(_)) | (1, Trees::Compact(_)) | (2, Trees::Extended(_)) => {}
            (_, trees) => panic!("layout {index} is {trees:?}"),
        }
        let scores = scores(&forest, rows.view());
        let top = (0..2000).max_by(|&a, &b| scores[a].total_cmp(&scores[b]));
        assert_eq!(top, Some(1234), "layout {index}");
        let mean = scores.iter().sum::<f64>() / 2000.0;
        assert!((0.35..0.55).contains(&mean), "layout {index}: {mean}");
    }
}

#[test]
fn two_rows_take_one_step() {
    let rows = array![[0.0], [1.0]];
    let forest = fit(&IsolationForestParams::default(), &rows);
    assert_eq!(scores(&forest, rows.view()), [0.5, 0.5]);
}

#[test]
fn neighbours_far_from_zero_stay_apart() {
    let mut rows = Array2::from_elem((300, 1), 1e9);
    rows[[7, 0]] = 1e9 + 1.0;
    let all = IsolationForestParams::new().with_max_samples(MaxSamples::Fraction(1.0));
    let forest = fit(&all, &rows);
    let scores = scores(&forest, rows.view());
    assert!(scores[7] > scores[8] + 0.1, "{} {}", scores[7], scores[8]);
}

#[test]
fn constant_features_are_passed_over() {
    let mut rows = Array2::from_elem((200, 40), 3.0);
    rows.column_mut(17).assign(&cloud(200, 1, 2).column(0));
    let alone = fit(
        &IsolationForestParams::default(),
        &rows.slice(s![.., 17..18]).to_owned(),
    );
    let among = fit(&IsolationForestParams::default(), &rows);
    let mean = |scores: Vec<f64>| scores.iter().sum::<f64>() / scores.len() as f64;
    let alone = mean(scores(&alone, rows.slice(s![.., 17..18])));
    let among = mean(scores(&among, rows.view()));
    assert!((alone - among).abs() < 0.02, "{alone} {among}");
}

#[test]
fn the_default_artifact_is_small() {
    let forest = fit(&IsolationForestParams::default(), &cloud(1000, 10, 3));
    assert!(encode(&forest).len() < 400_000);
    assert!(forest.size_bytes() < 400_000);
}

#[test]
fn threads_and_repetition_change_nothing() {
    let rows = cloud(1500, 5, 4);
    for params in layouts() {
        let on = |n_threads| {
            let pool = ThreadPoolBuilder::new()
                .num_threads(n_threads)
                .build()
                .expect("a pool");
            pool.install(|| encode(&fit(&params, &rows)))
        };
        let first = on(1);
        assert!(first == on(3) && first == on(1));
        let reseeded = params.clone().with_random_state(1);
        assert!(first != encode(&fit(&reseeded, &rows)));
    }
}

#[test]
fn linfa_fits_the_same_forest() {
    use linfa::traits::Fit;
    let rows = cloud(300, 3, 5);
    let forest: IsolationForest = IsolationForestParams::default()
        .fit(&linfa::DatasetBase::from(rows.clone()))
        .expect("usable rows");
    assert_eq!(forest, fit(&IsolationForestParams::default(), &rows));
}

#[test]
fn an_update_weights_the_history_by_the_rows_seen() {
    let context = Context::new();
    let old = cloud(500, 2, 6);
    let new = cloud(500, 2, 7) + 50.0;
    let forest = fit(&IsolationForestParams::default(), &old);
    let after = |seen| {
        let past = PastRows {
            seen_by_class: None,
            labels: None,
            rows: old.view(),
            seen,
        };
        forest
            .update(past, sample(&new), &context)
            .expect("rows of the same features")
            .detector
    };
    let mean = |forest: &IsolationForest| {
        let scores = scores(forest, new.view());
        scores.iter().sum::<f64>() / scores.len() as f64
    };
    let (even, outweighed) = (mean(&after(500)), mean(&after(1_000_000)));
    assert!(mean(&forest) > 0.7, "{}", mean(&forest));
    assert!(even < 0.55, "{even}");
    assert!(outweighed > even + 0.1, "{outweighed} {even}");
    assert!(after(500) == after(500) && after(500) != after(501));
}

#[test]
fn a_subsample_keeps_the_shares_of_history_and_new_rows() {
    let (old, new) = (cloud(100, 1, 0), cloud(300, 1, 0));
    let past = PastRows {
        seen_by_class: None,
        labels: None,
        rows: old.view(),
        seen: 900,
    };
    let params = IsolationForestParams::new()
        .with_max_samples(MaxSamples::Count(60))
        .check()
        .expect("valid");
    let sample = sample(&new);
    let population =
        population::Population::new(Some(&past), sample.rows.view().into(), &params).expect("rows");
    let mut marks = population::Marks::default();
    let (mut positions, mut n_past) = (Vec::new(), 0);
    for tree in 0..200 {
        population.draw(
            &mut crate::detector::random::tree_rng(0, 900, tree),
            &mut marks,
            &mut positions,
        );
        n_past += positions.iter().filter(|&&position| position < 100).count();
        positions.sort_unstable();
        positions.dedup();
        assert_eq!(positions.len(), 60);
        assert!(positions[59] < 400);
    }
    // 45 a tree are expected, with a standard deviation of 3.3
    assert!((n_past as f64 / 200.0 - 45.0).abs() < 1.0, "{n_past}");
}

#[test]
fn a_history_too_small_for_its_share_shrinks_the_subsample() {
    let (old, new) = (cloud(10, 2, 0), cloud(100, 2, 1));
    for (seen, n_subsample) in [(10, 110), (100, 20), (u64::MAX, 10)] {
        let past = PastRows {
            seen_by_class: None,
            labels: None,
            rows: old.view(),
            seen,
        };
        let params = IsolationForestParams::new().with_max_samples(MaxSamples::Fraction(1.0));
        let params = params.check().expect("valid parameters");
        let forest = params
            .fit_rows(Some(past), sample(&new), &Context::new())
            .expect("rows");
        assert_eq!(forest.n_subsample, n_subsample, "{seen} seen");
    }
    let past = PastRows {
        seen_by_class: None,
        labels: None,
        rows: old.slice(s![..1, ..]),
        seen: 10,
    };
    let none = Array2::zeros((0, 2));
    let params = IsolationForestParams::default().check().expect("defaults");
    let error = params
        .fit_rows(Some(past), sample(&none), &Context::new())
        .expect_err("one row");
    assert_eq!(error.reason(), reason::UNUSABLE_ROWS);
}

#[test]
fn other_features_are_refused() {
    let forest = fit(&IsolationForestParams::default(), &cloud(50, 3, 0));
    let (two, three) = (cloud(50, 2, 0), cloud(50, 3, 0));
    for (old, new) in [(&two, &three), (&three, &two), (&two, &two)] {
        let past = PastRows {
            seen_by_class: None,
            labels: None,
            rows: old.view(),
            seen: 50,
        };
        let error = forest
            .update(past, sample(new), &Context::new())
            .expect_err("other features");
        assert_eq!(error.reason(), reason::SCHEMA_MISMATCH);
    }
}
