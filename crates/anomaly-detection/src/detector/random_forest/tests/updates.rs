//! New trees for old ones.

use super::*;

fn past<'a>(rows: &'a Array2<f64>, labels: &'a [bool], seen: u64) -> PastRows<'a> {
    PastRows {
        seen_by_class: None,
        rows: rows.view(),
        labels: Some(labels),
        seen,
    }
}

/// The nodes and thresholds of a tree as features, thresholds, children and scores.
fn describe(forest: &RandomForest, tree: usize) -> Vec<(u32, f64, f64)> {
    let Forest { cuts, trees, .. } = &forest.forest;
    let nodes = trees.tree(tree).nodes.iter();
    nodes
        .map(|node| {
            if node.is_leaf() {
                (0, 0.0, f64::from(node.score()))
            } else {
                let cut = cuts.of_slot(node.slot())[usize::from(node.code())];
                let feature = cuts.features()[node.slot()];
                (feature + 1, cut, f64::from(node.child()))
            }
        })
        .collect()
}

#[test]
fn the_oldest_trees_are_replaced_in_rotation() {
    let (rows, labels) = cloud(400, 3, 1);
    let (more, more_labels) = cloud(100, 3, 2);
    let params = RandomForestParams::new().with_n_estimators(10);
    let mut forest = fit(&params, &rows, &labels);
    // 10 trees * 100 rows / 500, 600, ..., rounded up
    let replacements: [(u64, &[usize]); 6] = [
        (400, &[0, 1]),
        (500, &[2, 3]),
        (600, &[4, 5]),
        (700, &[6, 7]),
        (800, &[8, 9]),
        (900, &[0]),
    ];
    for (seen, replaced) in replacements {
        let updated = forest
            .update(
                past(&rows, &labels, seen),
                sample(&more, &more_labels),
                &Context::new(),
            )
            .expect("updated")
            .detector;
        updated.validate().expect("sound");
        for tree in 0..10 {
            let is_same = describe(&updated, tree) == describe(&forest, tree);
            assert_eq!(is_same, !replaced.contains(&tree), "tree {tree}");
        }
        forest = updated;
    }
}

#[test]
fn an_update_learns_changes_and_keeps_the_rest() {
    let (rows, labels) = cloud(1000, 4, 3);
    let forest = fit(&small(), &rows, &labels);
    // far away from all before, other rows are anomalies
    let (mut more, more_labels) = cloud(1000, 4, 4);
    more += 1e9;
    let learned = forest
        .update(
            past(&rows, &labels, 1000),
            sample(&more, &more_labels),
            &Context::new(),
        )
        .expect("updated");
    let before = auroc(&scores(&forest, more.view()), &more_labels);
    let after = auroc(&scores(&learned.detector, more.view()), &more_labels);
    assert!(before < 0.6 && after > 0.95, "{before} {after}");
    assert!(auroc(&scores(&learned.detector, rows.view()), &labels) > 0.95);
    let honest = learned.calibration_scores.expect("known");
    assert_eq!(honest.len(), 2000);
    assert!(honest.iter().all(|p| (0.0..=1.0).contains(p)));
    let (old, new) = honest.split_at(1000);
    let plain = auroc(&scores(&learned.detector, rows.view()), &labels);
    assert!(auroc(old, &labels) < plain && auroc(old, &labels) > 0.85);
    assert!(auroc(new, &more_labels) > 0.7 && auroc(new, &more_labels) < after);
}

#[test]
fn without_a_history_all_trees_are_new() {
    let (rows, labels) = cloud(300, 3, 5);
    let (more, more_labels) = cloud(300, 3, 6);
    let none = Array2::zeros((0, 3));
    let forest = fit(&small(), &rows, &labels);
    let updated = forest
        .update(
            past(&none, &[], 0),
            sample(&more, &more_labels),
            &Context::new(),
        )
        .expect("updated");
    assert_eq!(updated.detector, fit(&small(), &more, &more_labels));
}

#[test]
fn a_sample_of_one_class_may_follow_a_history_of_both() {
    let (rows, labels) = cloud(300, 3, 7);
    let (more, _) = cloud(50, 3, 8);
    let forest = fit(&small(), &rows, &labels);
    let normal = vec![false; 50];
    let updated = forest
        .update(
            past(&rows, &labels, 5000),
            sample(&more, &normal),
            &Context::new(),
        )
        .expect("updated")
        .detector;
    let renewed: Vec<usize> = (0..21)
        .filter(|&tree| describe(&forest, tree) != describe(&updated, tree))
        .collect();
    assert_eq!(renewed, [0]);
    let error = forest
        .update(
            past(&more, &normal, 5000),
            sample(&more, &normal),
            &Context::new(),
        )
        .expect_err("one class");
    assert_eq!(error.reason(), reason::UNUSABLE_ROWS);
    let narrow = Array2::zeros((50, 2));
    let error = forest
        .update(
            past(&rows, &labels, 5000),
            sample(&narrow, &normal),
            &Context::new(),
        )
        .expect_err("another width");
    assert_eq!(error.reason(), reason::SCHEMA_MISMATCH);
}

#[test]
fn threads_change_no_update() {
    let (rows, labels) = cloud(500, 3, 9);
    let (more, more_labels) = cloud(500, 3, 10);
    let forest = fit(&small(), &rows, &labels);
    let update = |threads| {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("threads").install(|| {
            forest
                .update(
                    past(&rows, &labels, 700),
                    sample(&more, &more_labels),
                    &Context::new(),
                )
                .expect("updated")
        })
    };
    assert_eq!(update(1), update(3));
}

#[test]
fn a_thinned_class_keeps_its_weight() {
    // from uninformative features, a forest learns only how frequent anomalies are
    let (rows, _) = cloud(400, 3, 5);
    let labels: Vec<bool> = (0..400).map(|i| i % 2 == 0).collect();
    let (more, _) = cloud(200, 3, 6);
    let more_labels: Vec<bool> = (0..200).map(|i| i % 100 == 0).collect();
    let params = RandomForestParams::new()
        .with_n_estimators(1)
        .with_min_samples_leaf(50);
    let forest = fit(&params, &rows, &labels);
    let past = PastRows {
        seen_by_class: Some([19_800, 200]),
        ..past(&rows, &labels, 20_000)
    };
    let update = forest.update(past, sample(&more, &more_labels), &Context::new());
    let scores = scores(&update.expect("updates").detector, rows.view());
    let mean = scores.iter().sum::<f64>() / scores.len() as f64;
    assert!(mean < 0.1, "{mean}");
}
