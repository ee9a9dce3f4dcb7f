use ndarray::{Array2, ArrayView2};

use super::*;

#[test]
fn rows_beyond_the_memory_limit_are_refused() {
    let zero = [0.0];
    let rows = ArrayView2::from_shape((100_000, 65_536).set_strides(), &zero);
    let rows = rows.expect("one value over and over");
    let labels: Vec<bool> = (0..100_000).map(|i| i % 2 == 0).collect();
    let params = LogisticRegressionParams::default().check().expect("valid");
    let sample = Sample {
        labels: Some(&labels),
        ..Sample::complete(rows)
    };
    let error = <LogisticRegression as Method>::fit(&params, &sample, &Context::new());
    let error = error.expect_err("refused");
    assert_eq!(error.reason(), reason::UNUSABLE_ROWS);
    assert!(error.message().contains("at most 2016 rows"), "{error}");
}

trait Strided {
    fn set_strides(self) -> ndarray::StrideShape<ndarray::Ix2>;
}

impl Strided for (usize, usize) {
    fn set_strides(self) -> ndarray::StrideShape<ndarray::Ix2> {
        use ndarray::ShapeBuilder as _;
        self.strides((0, 0))
    }
}

#[test]
fn extreme_shapes_work() {
    for (n, d) in [(2, 1), (2, 1000), (3, 65_536), (20_000, 1)] {
        let (rows, labels) = table(n, d, 0.0, 4);
        let model = fit(&rows, &labels);
        assert!(
            score(&model, rows.view())
                .iter()
                .all(|p| *p > 0.0 && *p < 1.0)
        );
    }
    // all rows are the same, so that only the share of anomalies can be learned
    let labels: Vec<bool> = (0..100).map(|i| i % 4 == 0).collect();
    let same = Array2::from_elem((100, 3), 0.1);
    assert_close(
        &score(&fit(&same, &labels), same.view()),
        &[0.25; 100],
        1e-9,
    );
}
