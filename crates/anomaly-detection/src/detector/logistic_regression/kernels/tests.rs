use super::*;
use crate::detector::simd::Portable;

#[test]
fn exponentials_agree_with_the_library() {
    for i in 0..70_000 {
        let x = -0.01 * f64::from(i);
        let (found, expected) = (exp_negative(x), x.exp());
        assert!((found - expected).abs() <= 4.5e-16 * expected, "{x}");
    }
    assert_eq!(exp_negative(0.0), 1.0);
    assert_eq!(exp_negative(-0.0), 1.0);
    assert_eq!(exp_negative(f64::MIN), exp_negative(-700.0));
}

/// Some rows, some of them padding.
fn block(d: usize, n_rows: usize, anomaly: bool) -> Block {
    let lanes = n_rows.next_multiple_of(LANES);
    let value = |i: usize| ((i * 37 + 11) % 101) as f64 / 50.0 - 1.0;
    let values = (0..d * lanes).map(|i| if i % lanes < n_rows { value(i) } else { 0.0 });
    Block {
        values: values.collect(),
        lanes,
        n_rows,
        weight: 0.3,
        anomaly,
    }
}

#[test]
fn sums_agree_with_plain_loops() {
    for (d, n_rows, anomaly) in [(1, 1, true), (5, 13, false), (6, 128, true), (9, 60, false)] {
        let block = block(d, n_rows, anomaly);
        let point: Vec<f64> = (0..=d).map(|j| 0.4 * j as f64 - 1.0).collect();
        let mut sums = Sums {
            loss: 0.0,
            gradient: vec![0.0; d + 1],
            hessian: vec![0.0; (d + 1) * (d + 2) / 2],
        };
        let mut scratch = Scratch::default();
        evaluate(&block, &point, &mut scratch, &mut sums);
        let mut portable = Sums {
            loss: 0.0,
            gradient: vec![0.0; d + 1],
            hessian: vec![0.0; (d + 1) * (d + 2) / 2],
        };
        evaluate_with(
            Portable,
            &block,
            &point,
            &mut Scratch::default(),
            &mut portable,
        );
        assert_eq!(sums.loss.to_bits(), portable.loss.to_bits());
        assert_eq!(sums.gradient, portable.gradient);
        assert_eq!(sums.hessian, portable.hessian);

        let mut product = vec![0.0; d + 1];
        let mut diagonal_sums = vec![0.0; d + 1];
        let curvatures = scratch.curvatures.clone();
        multiply(&block, &curvatures, &point, &mut scratch, &mut product);
        diagonal(&block, &curvatures, &mut diagonal_sums);
        for row in 0..n_rows {
            let x = |j: usize| {
                if j == d {
                    1.0
                } else {
                    block.values[j * block.lanes + row]
                }
            };
            let odds: f64 = (0..=d).map(|j| x(j) * point[j]).sum();
            let margin = if anomaly { odds } else { -odds };
            let p = 1.0 / (1.0 + (-odds).exp());
            sums.loss -= 0.3 * (-margin).exp().ln_1p();
            for i in 0..=d {
                sums.gradient[i] -= 0.3 * (p - f64::from(anomaly)) * x(i);
                product[i] -= 0.3 * p * (1.0 - p) * odds * x(i);
                diagonal_sums[i] -= 0.3 * p * (1.0 - p) * x(i) * x(i);
                for j in 0..=i {
                    sums.hessian[i * (i + 1) / 2 + j] -= 0.3 * p * (1.0 - p) * x(i) * x(j);
                }
            }
        }
        let rests = [&sums.gradient, &sums.hessian, &product, &diagonal_sums];
        for rest in rests.into_iter().flatten().chain([&sums.loss]) {
            assert!(rest.abs() < 1e-12, "{rest}");
        }
    }
}
