//! A fit whose context is cancelled does not start.

use anomaly_detection::context::Context;
use anomaly_detection::error::reason;

use crate::any::{all, normal_rows, try_fit};

#[test]
fn a_cancelled_fit_does_not_start() {
    let rows = normal_rows(50, 3, 1);
    let context = Context::new();
    context.cancel();
    for params in all(rows.ncols()) {
        let error = try_fit(&params, &rows, &context).expect_err("cancelled");
        assert_eq!(error.reason(), reason::CANCELLED, "{params:?}: {error}");
    }
}
