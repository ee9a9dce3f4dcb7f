//! The parts of a forest, each compared with a plain implementation.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::bag::Draw;
use super::super::bins::Bins;
use super::super::cuts::{Cuts, MAX_CUTS, encode};
use super::super::outcomes::{
    CODES, GATHERED, Outcomes, choose, choose_plain, transpose, transpose_plain,
};
use super::super::rows::Rows;
use super::super::split::{Counts, Drawn, Rule, Splitter, Task, purity};
use super::super::tree::{Node, TreeView, Trees};
use super::super::windows::Split;
use super::*;
use crate::detector::random::tree_rng;

fn learn_bins(rows: &Array2<f64>, labels: &[bool], model: &Cuts) -> Bins {
    let rows = Rows::new(None, sample(rows, labels)).expect("usable");
    Bins::learn(&rows, model, &Context::new()).expect("bins")
}

#[test]
fn few_values_all_get_their_own_bin() {
    let rows = Array2::from_shape_vec((5, 1), vec![3.0, 0.0, -0.0, 1.0, f64::MAX]);
    let labels = [true, false, false, true, false];
    let bins = learn_bins(&rows.expect("a column"), &labels, &Cuts::default());
    assert_eq!(bins.cuts.of_slot(0), [0.5, 2.0, 0.5 * f64::MAX + 1.5]);
    assert_eq!(bins.codes[0], [2, 0, 0, 1, 3]);
}

#[test]
fn neighbouring_values_stay_distinct() {
    let low = 1e9_f64;
    let rows = Array2::from_shape_vec((2, 1), vec![low, low.next_up()]).expect("a column");
    let bins = learn_bins(&rows, &[true, false], &Cuts::default());
    assert_eq!(bins.cuts.of_slot(0), [low]);
    assert_eq!(bins.codes[0], [0, 1]);
}

#[test]
fn many_values_share_bins_and_anomalies_get_half_of_them() {
    let rows = Array2::from_shape_fn((20_000, 1), |(i, _)| i as f64);
    let labels: Vec<bool> = (0..20_000).map(|i| i < 200).collect();
    let bins = learn_bins(&rows, &labels, &Cuts::default());
    let cuts = bins.cuts.of_slot(0);
    assert!((250..=255).contains(&cuts.len()), "{}", cuts.len());
    let n_low = cuts.iter().filter(|&&cut| cut < 200.0).count();
    assert!((120..=135).contains(&n_low), "{n_low}");
    assert_eq!(bins.cuts.fault(1), None);
}

#[test]
fn a_feature_full_of_thresholds_reuses_its_own() {
    let (rows, labels) = cloud(1000, 1, 1);
    let mut full = Cuts::default();
    let known: Vec<f64> = (0..MAX_CUTS - 10).map(|i| i as f64 * 1e-5).collect();
    full.push(0, &known);
    let bins = learn_bins(&rows, &labels, &full);
    let cuts = bins.cuts.of_slot(0);
    assert!((200..=255).contains(&cuts.len()), "{}", cuts.len());
    assert!(cuts.iter().all(|cut| known.contains(cut)));
}

#[test]
fn bags_are_as_large_as_the_rows_and_follow_the_weights() {
    let mut counts = vec![0; 3000];
    let past: Vec<bool> = (0..1000).map(|row| row % 3 == 0).collect();
    let draw = Draw::new(&past, [4.0; 2], 2000);
    let mut rng = tree_rng(0, 4000, 3);
    draw.draw(&mut rng, &mut counts, &Context::new())
        .expect("drawn");
    assert_eq!(counts.iter().sum::<u32>(), 3000);
    let past: u32 = counts[..1000].iter().sum();
    assert!((1900..2100).contains(&past), "{past}");
}

#[test]
fn out_of_bag_scores_are_those_of_the_trees_that_have_not_seen_the_row() {
    let (rows, labels) = cloud(300, 3, 2);
    let params = RandomForestParams::new()
        .with_n_estimators(4)
        .with_random_state(9);
    let learned = learn(&params, &rows, &labels).expect("a forest");
    let plain = scores(&learned.detector, rows.view());
    let bags: Vec<Vec<u32>> = (0..4)
        .map(|tree| {
            let mut counts = vec![0; 300];
            let draw = Draw::new(&[], [1.0; 2], 300);
            let mut rng = tree_rng(9, 0, tree);
            draw.draw(&mut rng, &mut counts, &Context::new())
                .expect("drawn");
            counts
        })
        .collect();
    let found = learned.calibration_scores.expect("out of bag");
    for (row, values) in rows.outer_iter().enumerate() {
        let of_tree = |tree: usize| {
            let nodes = learned.detector.forest.trees.tree(tree).nodes;
            let cuts = &learned.detector.forest.cuts;
            let mut place = 0;
            while !nodes[place].is_leaf() {
                let node = nodes[place];
                let cut = cuts.of_slot(node.slot())[usize::from(node.code())];
                let feature = cuts.features()[node.slot()] as usize;
                place = node.child() as usize + usize::from(values[feature] > cut);
            }
            f64::from(nodes[place].score())
        };
        let outside: Vec<f64> = (0..4)
            .filter(|&tree| bags[tree][row] == 0)
            .map(of_tree)
            .collect();
        let expected = if outside.is_empty() {
            plain[row]
        } else {
            outside.iter().sum::<f64>() / outside.len() as f64
        };
        assert!((found[row] - expected).abs() < 1e-9, "row {row}");
        assert_eq!(plain[row], (0..4).map(of_tree).sum::<f64>() / 4.0);
    }
}

#[test]
fn wide_codes_score_as_narrow_ones_do() {
    let (rows, labels) = cloud(2000, 4, 3);
    let forest = fit(&small(), &rows, &labels).forest;
    let mut narrow = vec![0.0; 2000];
    let mut wide = narrow.clone();
    forest.sum_coded::<u8>(rows.view(), &mut narrow);
    // these have no walk of many rows at once
    forest.sum_coded::<u16>(rows.view(), &mut wide);
    assert_eq!(narrow, wide);
}

/// Labels without a reason, so that trees are deep.
fn noise(n: usize, d: usize) -> (Array2<f64>, Vec<bool>) {
    let (rows, _) = cloud(n, d, 11);
    let labels = (0..n).map(|i| i % 3 == 0).collect();
    (rows, labels)
}

#[test]
fn deep_trees_on_many_features_score_in_groups_as_row_by_row() {
    let (rows, labels) = noise(5000, 40);
    let params = RandomForestParams::new().with_n_estimators(3);
    let forest = fit(&params, &rows, &labels).forest;
    for n_rows in [8, 65, 500, 4999] {
        let rows = rows.slice(s![..n_rows, ..]);
        let mut in_groups = vec![0.0; n_rows];
        let mut one_by_one = in_groups.clone();
        forest.sum_coded::<u8>(rows, &mut in_groups);
        forest.sum_coded::<u16>(rows, &mut one_by_one);
        assert_eq!(in_groups, one_by_one);
    }
}

#[test]
fn nodes_in_another_order_score_the_same() {
    let (rows, labels) = noise(3000, 3);
    let forest = fit(&small(), &rows, &labels).forest;
    let mut trees = Trees::with_capacity(21, 0);
    for index in 0..21 {
        let TreeView { nodes, shares } = forest.trees.tree(index);
        // level by level
        let mut order = vec![0];
        let mut next = 0;
        while next < order.len() {
            let node: Node = nodes[order[next]];
            if !node.is_leaf() {
                order.extend([0, 1].map(|side| node.child() as usize + side));
            }
            next += 1;
        }
        let place = |node| order.iter().position(|&other| other == node);
        let moved = order.iter().map(|&at| match nodes[at] {
            node if node.is_leaf() => node,
            node => {
                let child = place(node.child() as usize).expect("a child");
                Node::split(child as u32, node.slot() as u16, node.code())
            }
        });
        trees.push(moved, shares);
    }
    assert_eq!(trees.fault(21, &forest.cuts), None);
    let other = Forest::new(forest.cuts.clone(), trees);
    assert_ne!(other, forest);
    let (mut sums, mut others) = (vec![0.0; 3000], vec![0.0; 3000]);
    forest.sum_chunk(rows.view(), &mut sums);
    other.sum_chunk(rows.view(), &mut others);
    assert_eq!(sums, others);
}

#[test]
fn vectorised_and_plain_traversals_agree() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(5);
    let codes: Vec<u8> = (0..64 * 5).map(|_| rng.random()).collect();
    let splits: Vec<Split> = (0..100)
        .rev()
        .map(|node| Split {
            slot: rng.random_range(0..5),
            at_least: rng.random(),
            node,
            child: rng.random_range(node + 1..200),
        })
        .collect();
    let stay: Outcomes<64> = std::array::from_fn(|node| [node as u8; 64]);
    let (mut plain, mut fast) = (stay, stay);
    choose_plain(&splits, &codes, 64, &mut plain);
    choose(&splits, &codes, 64, &mut fast);
    assert_eq!(plain, fast);
    let rows: [&[u8; CODES]; GATHERED] =
        std::array::from_fn(|row| codes[7 * row..].first_chunk().expect("codes"));
    let (mut plain, mut fast) = ([[0; GATHERED]; CODES], [[1; GATHERED]; CODES]);
    transpose_plain(&rows, &mut plain);
    transpose(&rows, &mut fast);
    assert_eq!(plain, fast);
    assert_eq!(plain[3][2], codes[7 * 2 + 3]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn codes_count_the_thresholds_below(
        mut cuts in vec(-20.0..20.0f64, 0..300),
        values in vec(-25.0..25.0f64, 0..40),
    ) {
        cuts.sort_by(f64::total_cmp);
        cuts.dedup();
        let values = values.into_iter().chain(cuts.iter().copied());
        let mut found = Vec::new();
        encode(&cuts, values.clone(), |code| found.push(usize::from(code)));
        let expected: Vec<usize> = values.map(|x| cuts.iter().filter(|&&cut| cut < x).count()).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn the_best_split_is_found(
        rows in vec((vec(0..12u8, 3), 1..4u32, any::<bool>()), 2..400),
        min_rows in prop::sample::select(vec![1usize, 1, 2, 5]),
        anomaly_weight in prop::sample::select(vec![1.0, 0.1]),
        seed: u64,
    ) {
        let values = Array2::from_shape_fn((rows.len(), 3), |(i, j)| f64::from(rows[i].0[j]));
        let labels: Vec<bool> = rows.iter().map(|row| row.2).collect();
        prop_assume!(labels.contains(&true) && labels.contains(&false));
        let bins = learn_bins(&values, &labels, &Cuts::default());
        let bag: Vec<Drawn> = rows
            .iter()
            .enumerate()
            .map(|(i, row)| Drawn::new(i as u32, row.1, row.2))
            .collect();
        let count = |goes: &dyn Fn(usize) -> bool| {
            let mut counts = Counts::default();
            let kept = bag.iter().filter(|drawn| goes(drawn.row()));
            kept.for_each(|drawn| counts.add(drawn.counts()));
            counts
        };
        let total = count(&|_| true);
        let rule = Rule { n_features: 3, min_rows, weights: (1.0, anomaly_weight) };
        let mut splitter = Splitter::default();
        splitter.candidates.reset(bins.cuts.n_slots(), 3);
        let mut n_constant = 0;
        let task = Task { bins: &bins, rule: &rule, bag: &bag, total };
        let found = splitter
            .split(task, &mut n_constant, &mut tree_rng(seed, 0, 0), |_| Ok(()))
            .expect("not cancelled");
        let mut best = f64::NEG_INFINITY;
        for slot in 0..bins.cuts.n_slots() {
            for code in 0..bins.cuts.of_slot(slot).len() {
                let goes_left = |row: usize| usize::from(bins.codes[slot][row]) <= code;
                let n_left = bag.iter().filter(|drawn| goes_left(drawn.row())).count();
                if n_left >= min_rows && bag.len() - n_left >= min_rows {
                    let left = count(&goes_left);
                    let right = total.without(left);
                    best = best.max(purity(left.weigh(rule.weights)) + purity(right.weigh(rule.weights)));
                }
            }
        }
        match found {
            None => prop_assert_eq!(best, f64::NEG_INFINITY),
            Some(split) => {
                prop_assert!((split.purity - best).abs() <= 1e-12 * best, "{} {}", split.purity, best);
                let goes_left = |row: usize| bins.codes[split.slot][row] <= split.code;
                prop_assert_eq!(split.left, count(&goes_left));
            }
        }
    }
}
