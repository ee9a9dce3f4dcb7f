//! Hostile plans, histories and rows are refused.

use serde_bytes::ByteBuf;

use super::*;

#[derive(Serialize)]
struct Forged {
    keys: Vec<String>,
    lengths: ByteBuf,
    values: ByteBuf,
}

fn forged(keys: &[&str], lengths: &[u32], values: &[f64]) -> Vec<u8> {
    let forged = Forged {
        keys: keys.iter().map(|&key| key.to_owned()).collect(),
        lengths: lengths
            .iter()
            .flat_map(|n| n.to_le_bytes())
            .collect::<Vec<u8>>()
            .into(),
        values: values
            .iter()
            .flat_map(|n| n.to_le_bytes())
            .collect::<Vec<u8>>()
            .into(),
    };
    crate::messagepack::written(&forged).expect("written")
}

#[test]
fn forged_histories_are_refused() {
    let plan = engineer(&[1], &[2], &["a", "b"], false);
    let accepted = |bytes: Vec<u8>| {
        crate::messagepack::read::<Histories>(&bytes)
            .is_ok_and(|histories| histories.validate(&plan).is_ok())
    };
    let values = [1.0, 2.0, 3.0, f64::NAN];
    assert!(accepted(forged(&["x"], &[4], &values)));
    assert!(accepted(forged(&["x", "y"], &[2, 2], &values)));
    assert!(accepted(forged(&[], &[], &[])));
    let long = "x".repeat(257);
    for (keys, lengths, values) in [
        (vec!["x"], vec![2], &values[..]),
        (vec!["x"], vec![u32::MAX, 5], &values),
        (vec!["x", "y"], vec![4], &values),
        (vec!["x", "x"], vec![2, 2], &values),
        (vec!["x", "y"], vec![3, 1], &values),
        (vec!["x"], vec![6], &[0.0; 6]),
        (vec!["x"], vec![2], &[0.0, f64::INFINITY]),
        (vec![long.as_str()], vec![2], &[0.0; 2]),
    ] {
        assert!(
            !accepted(forged(&keys, &lengths, values)),
            "{keys:?} {lengths:?} {values:?}"
        );
    }
    let too_many: Vec<String> = (0..=plan.max_series()).map(|i| i.to_string()).collect();
    let keys: Vec<&str> = too_many.iter().map(String::as_str).collect();
    assert!(!accepted(forged(&keys, &vec![0; keys.len()], &[])));
    assert!(accepted(forged(&keys[1..], &vec![0; keys.len() - 1], &[])));

    let timeless = engineer(&[1], &[2], &[], true);
    let histories: Histories = crate::messagepack::read(&forged(&["x"], &[0], &[])).expect("read");
    assert!(histories.validate(&timeless).is_err());
}

#[test]
fn a_forged_plan_is_refused() {
    let plan = engineer(&[1], &[2], &["a"], false);
    assert!(plan.validate().is_ok());
    let mut forged = plan.clone();
    forged.params.lags = vec![0];
    assert_eq!(
        forged.validate().expect_err("refused").reason(),
        reason::DAMAGED_ARTIFACT
    );
    let mut forged = plan;
    forged.columns = vec!["a".to_owned(), "a".to_owned()];
    assert!(forged.validate().is_err());
}

#[test]
fn plans_that_are_too_large_are_refused() {
    let columns = |n: usize| (0..n).map(|i| i.to_string()).collect::<Vec<_>>();
    let params = |window| EngineeringParams {
        rolling_windows: vec![window],
        ..EngineeringParams::default()
    };
    assert!(Engineer::new(params(10_000), columns(26), false).is_ok());
    assert!(Engineer::new(params(10_000), columns(27), false).is_err());
    assert!(Engineer::new(params(2), columns(512), false).is_ok());
    assert!(Engineer::new(params(2), columns(513), false).is_err());
}

#[test]
fn rows_that_do_not_fit_are_refused() {
    let plan = engineer(&[1], &[2], &["a"], false);
    let mut builder = Builder::new(&plan, Histories::default());
    let mut out = vec![0.0; plan.n_features()];
    assert!(builder.push("", &[1.0, 2.0], None, &mut out).is_err());
    assert!(builder.push("", &[1.0], None, &mut out[1..]).is_err());
    let long = "x".repeat(257);
    let error = builder
        .push(&long, &[1.0], None, &mut out)
        .expect_err("refused");
    assert_eq!(error.reason(), reason::INVALID_RECORDS);
    let keys = [long, "y".to_owned()];
    for codes in [[0, 1], [1, 2]] {
        let rows = Rows {
            n_rows: 2,
            columns: &[&[1.0, 2.0]],
            times: None,
            series: Some(SeriesOfRows {
                codes: &codes,
                keys: &keys,
            }),
        };
        assert!(builder.apply(&rows, &Context::new()).is_err());
    }
    assert!(builder.into_histories().is_empty());
}
