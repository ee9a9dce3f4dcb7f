use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn fit(scores: &[f64]) -> TailRank {
    let tail = TailRank::fit(scores, None).expect("a distribution");
    tail.validate().expect("sound");
    tail
}

/// The scores at the probabilities (i + 1/2) / n.
fn quantiles(n: usize, quantile: impl Fn(f64) -> f64) -> Vec<f64> {
    (0..n)
        .map(|i| quantile((i as f64 + 0.5) / n as f64))
        .collect()
}

#[test]
fn an_exponential_tail_is_extrapolated_far_beyond_the_largest_score() {
    let tail = fit(&quantiles(100_000, |p| -(-p).ln_1p()));
    for score in [0.1, 1.0, 3.0, 8.0, 20.0, 40.0, 100.0] {
        let found = tail.surprisal(score);
        assert!((found / score - 1.0).abs() < 0.05, "{score} {found}");
    }
    assert!(tail.scores.len() < 1500, "{}", tail.scores.len());
}

#[test]
fn a_pareto_tail_is_extrapolated_far_beyond_the_largest_score() {
    // survival (1 + x / 2)^-2 is generalised Pareto of shape 1/2
    let tail = fit(&quantiles(100_000, |p| 2.0 * ((1.0 - p).powf(-0.5) - 1.0)));
    for score in [1.0, 30.0, 1e3, 1e5] {
        let (found, truth) = (tail.surprisal(score), 2.0 * (0.5 * score).ln_1p());
        assert!((found / truth - 1.0).abs() < 0.1, "{score} {found} {truth}");
    }
}

#[test]
fn ranks_are_those_of_the_scores() {
    let tail = fit(&quantiles(1000, |p| p));
    for p in [0.0005, 0.1, 0.5, 0.9, 0.985] {
        assert!(
            (tail.probability(p) - p).abs() < 1e-3,
            "{p} {}",
            tail.probability(p)
        );
    }
    assert!(tail.probability(-0.5) < 0.001 && tail.probability(1e6) == 1.0);
}

#[test]
fn ties_lie_in_the_middle_of_their_step() {
    let mut scores = vec![0.0; 300];
    scores.extend(vec![1.0; 700]);
    let tail = fit(&scores);
    assert!((tail.probability(0.0) - 0.15).abs() < 1e-12);
    assert!((tail.probability(1.0) - 0.65).abs() < 1e-12);
    assert!(tail.probability(1.5) > tail.probability(1.0));
}

#[test]
fn surprisals_are_finite_and_ascend_for_few_or_equal_scores() {
    for scores in [
        vec![0.0],
        vec![3.0; 1000],
        vec![-1.0, 1.0],
        vec![1e300, -1e300, f64::MAX, f64::MIN],
        vec![5e-324, 0.0, 1e-300],
    ] {
        let tail = fit(&scores);
        let mut before = 0.0;
        for score in [
            f64::MIN,
            -1.0,
            0.0,
            1.0,
            2.9,
            3.0,
            3.1,
            10.0,
            1e10,
            f64::MAX,
        ] {
            let found = tail.surprisal(score);
            assert!(
                found.is_finite() && found >= before,
                "{scores:?} {score} {found}"
            );
            before = found;
        }
    }
}

#[test]
fn unusable_scores_and_weights_are_refused() {
    let refused: [(&[f64], Option<&[f64]>); 7] = [
        (&[], None),
        (&[f64::NAN], None),
        (&[1.0, f64::INFINITY], None),
        (&[1.0], Some(&[])),
        (&[1.0], Some(&[0.0])),
        (&[1.0], Some(&[-1.0])),
        (&[1.0], Some(&[f64::NAN])),
    ];
    for (scores, weights) in refused {
        let error = TailRank::fit(scores, weights).expect_err("refused");
        assert_eq!(error.reason(), reason::UNUSABLE_ROWS);
    }
}

#[test]
fn damaged_distributions_are_refused() {
    let damages: [fn(&mut TailRank); 8] = [
        |t| t.scores.clear(),
        |t| t.scores[1] = t.scores[0],
        |t| t.scores[0] = f64::NAN,
        |t| t.surprisals[0] = 0.0,
        |t| t.surprisals.truncate(1),
        |t| t.scale = 0.0,
        |t| t.shape = -0.1,
        |t| t.lower_scale = f64::INFINITY,
    ];
    for damage in damages {
        let mut bad = fit(&quantiles(100, |p| p));
        damage(&mut bad);
        let error = bad.validate().expect_err("damaged");
        assert_eq!(error.reason(), reason::DAMAGED_ARTIFACT);
    }
}

#[test]
fn a_hostile_distribution_that_passes_validation_gives_finite_surprisals() {
    let hostile = TailRank {
        scores: vec![f64::MIN, 0.0, f64::MAX],
        surprisals: vec![1e300, 1.1e300, f64::MAX],
        lower_scale: f64::MIN_POSITIVE,
        shape: 1e-5,
        scale: 5e-324,
    };
    hostile.validate().expect("passes");
    for score in [f64::MIN, -1e300, -1.0, 0.0, 5e-324, 1.0, 1e300, f64::MAX] {
        assert!(hostile.surprisal(score).is_finite());
        assert!((0.0..=1.0).contains(&hostile.probability(score)));
    }
}

proptest! {
    #[test]
    fn the_surprisal_rises_strictly_with_the_score(
        scores in vec(-50.0..50.0f64, 1..400),
        probes in vec(-60.0..1e6f64, 2..50),
    ) {
        let tail = fit(&scores);
        let mut probes = probes;
        probes.sort_by(f64::total_cmp);
        for pair in probes.windows(2).filter(|pair| pair[1] - pair[0] > 1e-3) {
            let (a, b) = (tail.surprisal(pair[0]), tail.surprisal(pair[1]));
            prop_assert!(a < b, "{pair:?} {a} {b}");
        }
    }

    #[test]
    fn it_is_continuous(scores in vec(0.0..10.0f64, 1..300)) {
        let scores: Vec<f64> = scores.iter().map(|x| (x * 1e3).round() / 1e3).collect();
        let tail = fit(&scores);
        for &knot in &tail.scores {
            let below = tail.surprisal(knot - 1e-9 * (1.0 + knot.abs()));
            let above = tail.surprisal(knot + 1e-9 * (1.0 + knot.abs()));
            prop_assert!(above - below < 1e-2, "{knot} {below} {above}");
        }
    }

    #[test]
    fn neither_order_nor_a_common_weight_matters(scores in vec(0.0..10.0f64, 1..300), weight in 1e-3..1e3f64) {
        let mut reversed = scores.clone();
        reversed.reverse();
        prop_assert_eq!(fit(&scores), fit(&reversed));
        let weights = vec![weight; scores.len()];
        prop_assert_eq!(fit(&scores), TailRank::fit(&scores, Some(&weights)).expect("fits"));
    }

    #[test]
    fn a_weight_of_two_is_nearly_two_scores(scores in vec(0.0..10.0f64, 200..300)) {
        let twice: Vec<f64> = scores.iter().chain(&scores[..100]).copied().collect();
        let mut weights = vec![1.0; scores.len()];
        weights[..100].fill(2.0);
        let (one, other) = (fit(&twice), TailRank::fit(&scores, Some(&weights)).expect("fits"));
        for score in [1.0, 5.0, 9.0] {
            prop_assert!((one.probability(score) - other.probability(score)).abs() < 0.02);
        }
    }
}

#[test]
fn a_distribution_survives_its_round_trip() {
    let tail = fit(&quantiles(5000, |p| (p * 5.0).exp()));
    let bytes = crate::messagepack::written(&tail).expect("bytes");
    assert_eq!(
        crate::messagepack::read::<TailRank>(&bytes).expect("read"),
        tail
    );
}
