use super::super::similarity::Rbf;
use super::super::steps::{self, Partner};
use super::*;

fn points(rows: &Array2<f64>) -> Points {
    let mut points = Points::zeros(rows.nrows(), rows.ncols());
    for (i, row) in rows.rows().into_iter().enumerate() {
        let row: Vec<f32> = row.iter().map(|&x| x as f32 / 2.0).collect();
        points.set(i, &row);
    }
    points
}

fn solve(points: &Points, caps: &[f64], nu: f64, tol: f64) -> Solution {
    let sum = nu * caps.iter().sum::<f64>();
    let context = Context::new();
    let problem = Problem {
        kernel: Rbf,
        points,
        caps,
        sum,
        tol,
        context: &context,
    };
    problem.solve().expect("a solution")
}

/// The sum of a row's kernels with all points, each times its coefficient.
fn kernels_at(points: &Points, alpha: &[f64], row: &[f32]) -> f64 {
    let mut alpha = alpha.to_vec();
    alpha.resize(points.n_padded_rows(), 0.0);
    let mut sums = [[0.0; LANES]];
    for tile in tiles(points, &alpha) {
        add_kernels(Rbf, tile, row, &mut sums);
    }
    total(&sums[0])
}

fn gradient(points: &Points, alpha: &[f64]) -> Vec<f64> {
    let mut row = vec![0.0; points.n_features()];
    (0..points.n_rows())
        .map(|i| {
            points.get(i, &mut row);
            kernels_at(points, alpha, &row)
        })
        .collect()
}

#[test]
fn solutions_are_optimal_at_every_size() {
    // one that starts from nothing, one that starts from a sample, and one that is solved part by part
    for (n, nu) in [(2, 0.3), (300, 0.5), (1500, 0.05), (4500, 0.1)] {
        let rows = points(&table(n, 2, n as u64, false));
        let caps: Vec<f64> = (0..n).map(|i| 1.0 + (i % 3) as f64).collect();
        let tol = 1e-3;
        let Solution { alpha, rho } = solve(&rows, &caps, nu, tol);
        let sum: f64 = alpha.iter().sum();
        let expected = nu * caps.iter().sum::<f64>();
        assert!((sum / expected - 1.0).abs() < 1e-12, "{sum} {expected}");
        for ((&alpha, &cap), g) in alpha.iter().zip(&caps).zip(gradient(&rows, &alpha)) {
            assert!((0.0..=cap).contains(&alpha));
            assert!(alpha == cap || g > rho - tol, "n {n}: {g} below {rho}");
            assert!(alpha == 0.0 || g < rho + tol, "n {n}: {g} above {rho}");
        }
    }
}

#[test]
fn a_weighted_row_is_as_many_copies() {
    let rows = table(700, 2, 5, true);
    let copies = points(&rows);
    let apart = solve(&copies, &[1.0; 700], 0.3, 1e-6);
    let context = Context::new();
    let sample = Sample::complete(rows.view());
    let distinct = DistinctRows::new(None, &sample, &context).expect("rows");
    assert!(
        distinct.n_rows() < 400,
        "{} distinct rows",
        distinct.n_rows()
    );
    assert_eq!(distinct.weights().iter().sum::<f64>(), 700.0);
    let merged = Array2::from_shape_fn((distinct.n_rows(), 2), |(i, j)| distinct.row(i)[j]);
    let merged = points(&merged);
    let together = solve(&merged, distinct.weights(), 0.3, 1e-6);
    assert!((apart.rho - together.rho).abs() < 5e-6);
    for probe in [[0.3, 0.2], [1.0, 1.5], [4.0, 0.0]] {
        let apart = kernels_at(&copies, &apart.alpha, &probe);
        let together = kernels_at(&merged, &together.alpha, &probe);
        assert!((apart - together).abs() < 1e-4, "{apart} {together}");
    }
}

proptest! {
    #[test]
    fn steps_are_the_same_on_every_processor(seed: u64, blocks in 1..20usize) {
        let n = 8 * blocks;
        let values = table(n, 6, seed, seed % 2 == 0);
        let column = |j: usize| values.column(j).to_vec();
        let singles = |j: usize| values.column(j).mapv(|x| (x / 8.0) as f32).to_vec();
        let may_give: Vec<f32> = column(1).iter().map(|&x| if x < 2.0 { 1.0 } else { 0.0 }).collect();
        let taking: Vec<f64> = column(1).iter().map(|&x| if x < 3.0 { 0.0 } else { f64::INFINITY }).collect();
        let (mut gradient, plus, minus, diagonal) = (column(0), singles(2), singles(3), vec![1.0; n]);
        let found = steps::partner((&gradient, 0.5), &may_give, (&plus, 1.0), &diagonal);
        let portable = steps::portable::partner((&gradient, 0.5), &may_give, (&plus, 1.0), &diagonal);
        prop_assert_eq!(found, portable);
        let gain = |t: usize| {
            let difference = (gradient[t] - 0.5) as f32 * may_give[t];
            difference.max(0.0).powi(2) / (2.0 - 2.0 * plus[t]).max(1e-12)
        };
        let best = (0..n).fold(None, |best: Option<usize>, t| match best {
            Some(b) if gain(t) <= gain(b) => best,
            _ => (gain(t) > 0.0).then_some(t).or(best),
        });
        let gap = (0..n).map(|t| (gradient[t] - 0.5) as f32 * may_give[t]).fold(0.0, f32::max);
        prop_assert_eq!(found, Partner { index: best, gap });
        let mut other = gradient.clone();
        let found = steps::step(&mut gradient, 0.3, &plus, &minus, &taking);
        let portable = steps::portable::step(&mut other, 0.3, &plus, &minus, &taking);
        prop_assert_eq!(found, portable);
        prop_assert_eq!(&gradient, &other);
        let may_take = (0..n).filter(|&t| taking[t] == 0.0);
        match may_take.min_by(|&a, &b| gradient[a].total_cmp(&gradient[b])) {
            Some(least) => prop_assert_eq!(found, (least, gradient[least])),
            None => prop_assert_eq!(found.1, f64::INFINITY),
        }
    }
}
