mod parts;
mod robustness;
mod updates;

use linfa::traits::Fit as _;
use ndarray::{Array1, Array2, Axis, s};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::ThreadPoolBuilder;

use super::*;
use crate::detector::ClassWeight;

fn sample<'a>(rows: &'a Array2<f64>, labels: &'a [bool]) -> Sample<'a> {
    Sample {
        labels: Some(labels),
        ..Sample::complete(rows.view())
    }
}

fn learn(
    params: &RandomForestParams,
    rows: &Array2<f64>,
    labels: &[bool],
) -> Result<Learned<RandomForest>> {
    let params = params.check_ref()?;
    RandomForest::fit(params, &sample(rows, labels), &Context::new())
}

fn fit(params: &RandomForestParams, rows: &Array2<f64>, labels: &[bool]) -> RandomForest {
    let forest = learn(params, rows, labels).expect("a forest").detector;
    forest.validate().expect("sound");
    forest
}

fn scores(forest: &RandomForest, rows: ArrayView2<'_, f64>) -> Vec<f64> {
    let mut scores = vec![f64::NAN; rows.nrows()];
    forest.score_chunk(rows, &mut scores);
    scores
}

fn small() -> RandomForestParams {
    RandomForestParams::new().with_n_estimators(21)
}

/// Rows of uniform numbers; where the sum of the first two is small, most are anomalies.
fn cloud(n: usize, d: usize, seed: u64) -> (Array2<f64>, Vec<bool>) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let rows = Array2::from_shape_simple_fn((n, d), || rng.random::<f64>());
    let labels = rows
        .outer_iter()
        .map(|row| row.iter().take(2).sum::<f64>() < 0.5 && rng.random::<f64>() < 0.9)
        .collect();
    (rows, labels)
}

/// The probability that an anomaly scores higher than a normal row.
fn auroc(scores: &[f64], labels: &[bool]) -> f64 {
    let of = |class: bool| {
        let rows = scores.iter().zip(labels).filter(move |&(_, &l)| l == class);
        rows.map(|(&score, _)| score).collect::<Vec<_>>()
    };
    let (normal, anomalous) = (of(false), of(true));
    let mut wins = 0.0;
    for a in &anomalous {
        for b in &normal {
            wins += f64::from(u8::from(a > b)) + 0.5 * f64::from(u8::from(a == b));
        }
    }
    wins / (normal.len() * anomalous.len()) as f64
}

#[test]
fn errors_name_the_parameter_that_is_out_of_range() {
    type Change = fn(&mut RandomForestParams);
    let wrong: [(&str, Change); 8] = [
        ("n_estimators", |p| *p = p.clone().with_n_estimators(0)),
        ("n_estimators", |p| *p = p.clone().with_n_estimators(10_001)),
        ("max_depth", |p| *p = p.clone().with_max_depth(Some(0))),
        ("min_samples_leaf", |p| {
            *p = p.clone().with_min_samples_leaf(0)
        }),
        ("max_features", |p| {
            *p = p.clone().with_max_features(MaxFeatures::Count(0))
        }),
        ("max_features", |p| {
            *p = p.clone().with_max_features(MaxFeatures::Fraction(f64::NAN));
        }),
        ("max_features", |p| {
            *p = p.clone().with_max_features(MaxFeatures::Fraction(1.1));
        }),
        ("class_weight.anomaly", |p| {
            *p = p.clone().with_class_weight(ClassWeight::Given {
                normal: 1.0,
                anomaly: 0.0,
            });
        }),
    ];
    for (name, change) in wrong {
        let mut params = small();
        change(&mut params);
        let error = params.check().expect_err(name);
        assert_eq!(error.reason(), reason::INVALID_PARAMETER);
        assert_eq!(error.field_path(), Some(name));
    }
    let (rows, labels) = cloud(50, 2, 0);
    let wide = small().with_max_features(MaxFeatures::Count(3));
    let error = learn(&wide, &rows, &labels).expect_err("too many");
    assert_eq!(error.field_path(), Some("max_features"));
}

#[test]
fn features_of_a_split_are_counted_as_in_scikit_learn() {
    let count = |max_features, n| {
        let params = small().with_max_features(max_features);
        let params = params.check().expect("valid");
        params.n_split_features(n).expect("enough")
    };
    assert_eq!(count(MaxFeatures::Sqrt, 1), 1);
    assert_eq!(count(MaxFeatures::Sqrt, 8), 2);
    assert_eq!(count(MaxFeatures::Sqrt, 100), 10);
    assert_eq!(count(MaxFeatures::Fraction(1.0), 7), 7);
    assert_eq!(count(MaxFeatures::Fraction(0.5), 7), 3);
    assert_eq!(count(MaxFeatures::Fraction(0.01), 7), 1);
    assert_eq!(count(MaxFeatures::Count(3), 7), 3);
}

#[test]
fn both_classes_and_their_labels_are_needed() {
    let rows = Array2::zeros((4, 2));
    let unlabelled = Sample::complete(rows.view());
    let params = small().check().expect("valid");
    let fails = |sample: Sample<'_>| {
        let error = RandomForest::fit(&params, &sample, &Context::new()).expect_err("refused");
        assert_eq!(error.reason(), reason::UNUSABLE_ROWS);
        error.message().to_owned()
    };
    assert!(fails(unlabelled).contains("rows of both classes"));
    for class in [true, false] {
        let message = fails(sample(&rows, &[class; 4]));
        assert!(message.contains("needs rows of both classes"), "{message}");
    }
    let message = fails(sample(&rows, &[true, false]));
    assert!(message.contains("4 rows have 2 labels"), "{message}");
}

#[test]
fn values_that_differ_little_at_an_offset_are_separated() {
    let rows = Array2::from_shape_fn((200, 1), |(i, _)| 1e9 + (i / 100) as f64);
    let labels: Vec<bool> = (0..200).map(|i| i >= 100).collect();
    let forest = fit(&small(), &rows, &labels);
    let probes = Array2::from_shape_vec((4, 1), vec![-1e300, 1e9 + 0.4, 1e9 + 0.6, 1e300]);
    let found = scores(&forest, probes.expect("a column").view());
    assert_eq!(found, [0.0, 0.0, 1.0, 1.0]);
}

#[test]
fn unseen_rows_are_ranked_as_well_as_out_of_bag_scores_predict() {
    let (rows, labels) = cloud(3000, 5, 1);
    let learned = learn(&small(), &rows, &labels).expect("a forest");
    let (unseen, truth) = cloud(3000, 5, 2);
    let honest = auroc(&scores(&learned.detector, unseen.view()), &truth);
    assert!(honest > 0.93, "{honest}");
    let calibration = learned.calibration_scores.expect("out of bag");
    assert!(calibration.iter().all(|p| (0.0..=1.0).contains(p)));
    let out_of_bag = auroc(&calibration, &labels);
    let plain = auroc(&scores(&learned.detector, rows.view()), &labels);
    assert!((out_of_bag - honest).abs() < 0.03, "{out_of_bag} {honest}");
    assert!(plain > 0.999, "{plain}");
}

#[test]
fn features_that_matter_have_the_importance() {
    let (rows, labels) = cloud(1000, 5, 3);
    let found = fit(&small(), &rows, &labels).feature_importances();
    let found = found.expect("known");
    assert!((found.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{found:?}");
    assert!(
        found[..2].iter().all(|&x| x > 2.0 * found[4]) && found[2] > 0.0,
        "{found:?}"
    );
    let labels: Vec<bool> = (0..10).map(|i| i < 3).collect();
    let forest = fit(&small(), &Array2::ones((10, 2)), &labels);
    assert_eq!(forest.feature_importances(), Some(vec![0.0, 0.0]));
}

#[test]
fn classes_count_by_their_weight() {
    // nothing to split on: the score is the share of anomalies in the bags
    let rows = Array2::ones((1000, 2));
    let labels: Vec<bool> = (0..1000).map(|i| i % 10 == 0).collect();
    let score = |class_weight| {
        let params = small().with_class_weight(class_weight);
        scores(&fit(&params, &rows, &labels), rows.slice(s![..1, ..]))[0]
    };
    let given = |normal, anomaly| ClassWeight::Given { normal, anomaly };
    assert!((score(ClassWeight::Uniform) - 0.1).abs() < 0.01);
    assert!((score(ClassWeight::Balanced) - 0.5).abs() < 0.02);
    assert!((score(given(1.0, 3.0)) - 0.25).abs() < 0.02);
    assert!((score(given(1e-300, 1e300)) - 1.0).abs() < 1e-9);
    assert!(score(given(1e300, 5e-324)) < 1e-9);
}

#[test]
fn leaf_sizes_and_depths_are_respected() {
    let (rows, labels) = cloud(500, 3, 4);
    let stump = small().with_n_estimators(1).with_max_depth(Some(1));
    let forest = fit(&stump, &rows, &labels);
    assert_eq!(forest.forest.trees.tree(0).nodes.len(), 3);
    let coarse = small().with_min_samples_leaf(250);
    // a bag has some 316 distinct rows
    let forest = fit(&coarse, &rows, &labels);
    for index in 0..21 {
        assert_eq!(forest.forest.trees.tree(index).nodes.len(), 1);
    }
}

#[test]
fn linfa_fits_it() {
    let (rows, labels) = cloud(100, 3, 5);
    let targets = Array1::from(labels.clone());
    let dataset = linfa::DatasetBase::new(rows.clone(), targets);
    let params = small().check().expect("valid");
    let forest = params.fit(&dataset).expect("a forest");
    assert_eq!(forest, fit(&small(), &rows, &labels));
}

#[test]
fn threads_change_nothing_and_seeds_do() {
    let (rows, labels) = cloud(700, 4, 6);
    let bytes = |threads, seed| {
        let params = small().with_random_state(seed);
        let pool = ThreadPoolBuilder::new().num_threads(threads).build();
        let learned = pool
            .expect("threads")
            .install(|| learn(&params, &rows, &labels).expect("a forest"));
        let model = crate::messagepack::written(&learned.detector).expect("bytes");
        (model, learned.calibration_scores)
    };
    assert_eq!(bytes(1, 0), bytes(3, 0));
    assert_ne!(bytes(1, 0), bytes(1, 1));
}

#[test]
fn a_row_scores_the_same_alone_and_in_any_chunk() {
    let (rows, labels) = cloud(1500, 6, 7);
    let forest = fit(&small(), &rows, &labels);
    let together = scores(&forest, rows.view());
    for from in [1, 63, 700, 1490] {
        assert_eq!(
            scores(&forest, rows.slice(s![from.., ..])),
            together[from..]
        );
    }
    for (row, expected) in rows.outer_iter().zip(&together) {
        let alone = scores(&forest, row.insert_axis(Axis(0)));
        assert_eq!(alone[0].to_bits(), expected.to_bits());
    }
    // any layout
    let columns = rows.t().as_standard_layout().to_owned();
    assert_eq!(scores(&forest, columns.t()), together);
}
