use super::super::compute::{self, kernel_row, row_in, sums_in};
use super::super::similarity::{Poly, Rbf, Sigmoid, exp2_negated, to_array};
use super::*;
use crate::detector::simd::{Portable, Simd};

fn points(rows: &Array2<f64>) -> Points {
    let mut points = Points::zeros(rows.nrows(), rows.ncols());
    for (i, row) in rows.rows().into_iter().enumerate() {
        let row: Vec<f32> = row.iter().map(|&x| x as f32 / 8.0).collect();
        points.set(i, &row);
    }
    points
}

fn check<S: Similarity>(kernel: S, exact: impl Fn(&[f32], &[f32]) -> f64) {
    for d in [1, 2, 7, 300, 513] {
        let points = points(&table(43, d, d as u64, false));
        let rows: Vec<Vec<f32>> = (0..6)
            .map(|i| {
                let mut row = vec![0.0; d];
                points.get(3 * i, &mut row);
                row
            })
            .collect();
        let n = points.n_padded_rows();
        let coefficients: Vec<f64> = (0..n)
            .map(|i| if i < 43 { 0.25 + i as f64 } else { 0.0 })
            .collect();
        let (mut fast, mut slow) = (vec![0.0; n], vec![0.0; n]);
        kernel_row(kernel, points.values(), &rows[1], &mut fast);
        row_in(Portable, kernel, points.values(), &rows[1], &mut slow);
        assert_eq!(fast, slow);
        let mut other = vec![0.0; d];
        for (i, found) in fast[..43].iter().enumerate() {
            points.get(i, &mut other);
            let expected = exact(&rows[1], &other);
            let error = (f64::from(*found) - expected).abs();
            assert!(error < 3e-6, "{found} {expected}");
        }
        let together = rows.concat();
        let sums = |rows: &[f32], portable: bool| {
            let mut sums = vec![[0.5; LANES]; rows.len() / d];
            for tile in tiles(&points, &coefficients) {
                if portable {
                    sums_in(Portable, kernel, tile, rows, &mut sums);
                } else {
                    add_kernels(kernel, tile, rows, &mut sums);
                }
            }
            sums
        };
        let expected = sums(&together, false);
        assert_eq!(sums(&together, true), expected);
        for (row, expected) in rows.iter().zip(expected) {
            assert_eq!(sums(row, false), [expected]);
            assert_eq!(sums(row, true), [expected]);
        }
        let diagonal = compute::diagonal(kernel, &points);
        let mut own = vec![0.0; n];
        kernel_row(kernel, points.values(), &rows[1], &mut own);
        assert_eq!(diagonal[3], own[3]);
    }
}

fn dot(x: &[f32], y: &[f32]) -> f64 {
    x.iter()
        .zip(y)
        .map(|(&x, &y)| f64::from(x) * f64::from(y))
        .sum()
}

#[test]
fn kernels_are_right_and_the_same_on_every_processor() {
    check(Rbf, |x, y| {
        let squares = x
            .iter()
            .zip(y)
            .map(|(&x, &y)| (f64::from(x) - f64::from(y)).powi(2));
        (-squares.sum::<f64>()).exp2()
    });
    let (factor, offset) = (1e-3, -0.2);
    for degree in [1, 2, 3, 10, 100] {
        let kernel = Poly {
            factor,
            offset,
            degree,
        };
        check(kernel, |x, y| {
            (factor * dot(x, y) + offset).powi(degree as i32)
        });
    }
    check(Sigmoid { factor, offset }, |x, y| {
        (factor * dot(x, y) + offset).tanh()
    });
}

#[test]
fn powers_of_two_are_accurate() {
    let powers = |x| to_array(Portable, exp2_negated(Portable, Portable.splat(x)));
    let mut worst = 0.0_f64;
    for i in 0..200_000 {
        let x = i as f32 * 6.3e-4;
        let found = powers(x)[i % LANES];
        let expected = (-f64::from(x)).exp2();
        worst = worst.max((f64::from(found) / expected - 1.0).abs());
        assert!((0.0..=1.0).contains(&found), "{x} {found}");
    }
    assert!(worst < 1.3e-7, "{worst}");
    assert_eq!(powers(0.0), [1.0; LANES]);
    let tiny = powers(f32::MAX)[0];
    assert!((0.0..2e-38).contains(&tiny), "{tiny}");
}

#[test]
fn lengths_that_do_not_agree_are_refused() {
    let panics = |work: &dyn Fn()| {
        let work = std::panic::AssertUnwindSafe(work);
        std::panic::catch_unwind(work).is_err()
    };
    let row = |n_values: usize, d: usize, n: usize| {
        kernel_row(Rbf, &vec![0.5; n_values], &vec![0.5; d], &mut vec![0.0; n]);
    };
    assert!(!panics(&|| row(48, 3, 16)));
    for (n_values, d, n) in [(48, 3, 24), (47, 3, 16), (48, 2, 16), (36, 3, 12)] {
        assert!(
            panics(&|| row(n_values, d, n)),
            "{n_values} values, {d}, {n}"
        );
    }
    let sums = |n_values: usize, n: usize, n_row_values: usize, n_rows: usize| {
        let points = (&vec![0.5; n_values][..], &vec![0.5; n][..]);
        let sums = &mut vec![[0.0; LANES]; n_rows];
        add_kernels(Rbf, points, &vec![0.5; n_row_values], sums);
    };
    assert!(!panics(&|| sums(48, 16, 15, 5)));
    for (n_values, n, n_row_values, n_rows) in [
        (48, 8, 15, 5),
        (48, 16, 14, 5),
        (48, 16, 10, 5),
        (36, 12, 15, 5),
    ] {
        let found = panics(&|| sums(n_values, n, n_row_values, n_rows));
        assert!(
            found,
            "{n_values} values of {n} points, {n_row_values} of {n_rows} rows"
        );
    }
}
