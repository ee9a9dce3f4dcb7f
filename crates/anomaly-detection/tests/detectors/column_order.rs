//! The order and the form in which the columns of a table come have no influence.

use anomaly_detection::context::Context;
use anomaly_detection::detector::DetectorParams;
use anomaly_detection::features::{
    EngineeringParams, EngineeringSpec, FeaturePolicy, Imputation, Role, Roles,
};
use anomaly_detection::pipeline::{Describe, Fitted, Model, TrainingSpec};
use anomaly_detection::table::read::{FileOptions, Format, Limits, read};
use anomaly_detection::table::{Column, Table, TextColumn};
use proptest::prelude::*;

use crate::any::{all, changed};

type Named = (&'static str, Column);

fn table(columns: &[Named]) -> Table {
    let (names, columns) = columns
        .iter()
        .map(|(name, column)| ((*name).to_owned(), column.clone()))
        .unzip();
    Table::from_columns(Some(names), columns).expect("a table")
}

/// Two columns of numbers with many ties, others with gaps, texts with few and with many categories, times, series and labels.
fn columns(n: usize, seed: usize) -> Vec<Named> {
    let tied = |every: usize| {
        let numbers = (0..n).map(|i| ((i + seed) * every % 7) as f64);
        Column::Numbers(numbers.collect())
    };
    let wave = |step: f64, gap: usize| {
        let number = |i: usize| match (i + seed) % gap {
            0 => f64::NAN,
            _ => ((i + seed) as f64 * step).sin() * 10.0 + ((i * i) % 5) as f64,
        };
        Column::Numbers((0..n).map(number).collect())
    };
    let texts = |texts: &[Option<&str>], step: usize| {
        let column: TextColumn = (0..n)
            .map(|i| texts[(i * step + seed) % texts.len()])
            .collect();
        Column::Texts(column)
    };
    let kinds = [Some("b"), Some("a"), None, Some("b"), Some("b")];
    let towns = ["t", "s", "r", "q", "p", "o", "n"].map(Some);
    vec![
        ("zebra", tied(3)),
        ("amount", tied(5)),
        ("Upper", wave(0.7, 11)),
        ("f10", wave(1.3, 1000)),
        ("f2", wave(2.1, 13)),
        ("kind", texts(&kinds, 3)),
        ("town", texts(&towns, 2)),
        ("sensor", texts(&[Some("x"), Some("y")], 1)),
        (
            "bad",
            Column::Booleans((0..n).map(|i| f64::from(u8::from(i % 4 == 1))).collect()),
        ),
        (
            "when",
            Column::Times((0..n as i64).map(|i| i * 60_000_000_000).collect()),
        ),
    ]
}

fn permuted(columns: &[Named], order: &[usize]) -> Vec<Named> {
    order
        .iter()
        .map(|&column| columns[column].clone())
        .collect()
}

fn spec(detector: DetectorParams, engineered: bool) -> TrainingSpec {
    let engineering = EngineeringSpec {
        params: EngineeringParams {
            lags: vec![2, 1],
            rolling_windows: vec![3],
            ..EngineeringParams::default()
        },
        columns: vec!["zebra".to_owned(), "f10".to_owned()],
    };
    TrainingSpec {
        detector,
        roles: Roles {
            label: Some("bad".to_owned()),
            time: Some("when".to_owned()),
            series: Some("sensor".to_owned()),
            ..Roles::default()
        },
        engineering: engineered.then_some(engineering),
        imputation: Imputation::Median,
        max_one_hot: 3,
        reservoir_size: 30,
        ..TrainingSpec::default()
    }
}

/// Everything that a model returns for rows, bit for bit, with the values of columns by name.
#[derive(Debug, PartialEq)]
struct Outputs {
    scores: Vec<u64>,
    threshold: u64,
    is_anomaly: Vec<bool>,
    columns: Vec<(String, Vec<u64>)>,
}

fn outputs(model: &Model, rows: Table) -> Outputs {
    let mut history = model.history();
    let scored = model
        .score(
            rows,
            history.as_mut(),
            Describe::Rows(usize::MAX),
            &Context::new(),
        )
        .expect("scores");
    let bits = |values: &[f64]| values.iter().map(|x| x.to_bits()).collect::<Vec<u64>>();
    let statistics = model.column_statistics().expect("learned");
    let of_rows = |column: usize| {
        let z_scores = scored
            .details
            .iter()
            .filter_map(|row| row.z_scores.as_ref());
        z_scores.map(move |z_scores| z_scores[column])
    };
    let statistics = statistics.into_iter().enumerate();
    let mut columns: Vec<(String, Vec<u64>)> = statistics
        .map(|(i, column)| {
            let mut values = vec![column.mean, column.std, column.min, column.max, column.fill];
            values.extend(column.importance);
            values.extend(of_rows(i));
            (column.name, bits(&values))
        })
        .collect();
    columns.sort();
    Outputs {
        scores: bits(&scored.scores),
        threshold: model.threshold().value.to_bits(),
        is_anomaly: scored.is_anomaly.clone(),
        columns,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn the_order_of_columns_changes_no_model(
        order in Just((0..10).collect::<Vec<usize>>()).prop_shuffle(),
        order_of_update in Just((0..10).collect::<Vec<usize>>()).prop_shuffle(),
        n in 50..70_usize,
        engineered: bool,
    ) {
        let context = Context::new();
        let (rows, more, probes) = (columns(n, 0), columns(20, 3), table(&columns(30, 5)));
        for detector in all(8) {
            let spec = spec(detector, engineered);
            let name = spec.detector.name();
            let fit = |columns: &[Named]| spec.fit(Some(table(columns)), &context).expect("fits");
            let update = |fitted: &Fitted, columns: &[Named]| {
                let reservoir = fitted.reservoir.clone();
                fitted.model.update(reservoir, &table(columns), &context).expect("updates")
            };
            let given = fit(&rows);
            let other = fit(&permuted(&rows, &order));
            prop_assert_eq!(outputs(&other.model, probes.clone()), outputs(&given.model, probes.clone()), "{}", name);
            let given = update(&given, &more);
            let other = update(&other, &permuted(&more, &order_of_update));
            prop_assert_eq!(outputs(&other.model, probes.clone()), outputs(&given.model, probes.clone()), "{} updated", name);
        }
    }
}

#[test]
fn adopted_columns_come_last_in_any_order() {
    let context = Context::new();
    let spec = TrainingSpec {
        feature_policy: FeaturePolicy::Adaptive,
        ..spec(changed("isolation_forest", serde_json::json!({})), false)
    };
    let rows: Vec<Named> = columns(60, 0)
        .into_iter()
        .filter(|(name, _)| *name != "f2")
        .collect();
    let adopted = |order: &[usize]| {
        let mut more = columns(40, 1);
        more.push(("Early", more[0].1.clone()));
        // dates are not categories, in whatever form they come
        let days: TextColumn = (0..40)
            .map(|i| Some(["2024-01-31", "2024-02-01"][i % 2]))
            .collect();
        more.push(("shipped", Column::Texts(days)));
        let more = permuted(&more, order);
        let fitted = spec.fit(Some(table(&rows)), &context).expect("fits");
        let model = fitted
            .model
            .update(fitted.reservoir, &table(&more), &context);
        model.expect("adopts").model
    };
    let (one, other) = (
        adopted(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
        adopted(&[11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]),
    );
    assert_eq!(one.features().schema.features()[6..], ["f2", "Early"]);
    assert_eq!(other.features().schema.features()[6..], ["Early", "f2"]);
    let mut probes = columns(30, 5);
    probes.push(("Early", probes[2].1.clone()));
    assert_eq!(
        outputs(&one, table(&probes)),
        outputs(&other, table(&probes))
    );
}

#[test]
fn the_order_shown_is_that_of_the_training_table() {
    let columns = [
        (
            "b",
            Column::Numbers((0..40).map(|i| f64::from(i % 5)).collect()),
        ),
        (
            "kind",
            Column::Texts(
                (0..40)
                    .map(|i| Some(if i % 2 == 0 { "v" } else { "u" }))
                    .collect(),
            ),
        ),
        (
            "a",
            Column::Numbers((0..40).map(|i| 100.0 + f64::from(i % 7)).collect()),
        ),
    ];
    let spec = TrainingSpec {
        detector: changed("z_score", serde_json::json!({})),
        ..TrainingSpec::default()
    };
    let fitted = spec
        .fit(Some(table(&columns)), &Context::new())
        .expect("fits");
    let model = fitted.model;
    assert_eq!(model.features().schema.features(), ["b", "kind", "a"]);
    let statistics = model.column_statistics().expect("learned");
    let names: Vec<&str> = statistics
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    assert_eq!(names, ["b", "kind=u", "kind=v", "kind=<unknown>", "a"]);
    assert_eq!(model.column_names(), names);
    assert!(statistics[0].mean < 5.0 && statistics[4].mean > 100.0);

    // by position, with missing features given by their index
    let row = |b: f64, a: f64| {
        let kind: TextColumn = [Some("u")].into_iter().collect();
        let columns = vec![
            Column::Numbers(vec![b]),
            Column::Texts(kind),
            Column::Numbers(vec![a]),
        ];
        let row = Table::from_columns(None, columns).expect("a table");
        model
            .score(row, None, Describe::Rows(1), &Context::new())
            .expect("scores")
    };
    let z_scores = row(2.0, 1000.0).details[0]
        .z_scores
        .clone()
        .expect("z-scores");
    assert!(
        z_scores[0].abs() < 1.0 && z_scores[4] > 100.0,
        "{z_scores:?}"
    );
    let scored = row(2.0, f64::NAN);
    assert_eq!(scored.details[0].missing_features, [2]);
    assert_eq!(scored.gaps.features, [false, false, true]);
}

#[test]
fn columns_without_names_give_the_same_model() {
    let n_columns = 12;
    let value = |i: usize| ((i * 37) % 11) as f64 + ((i * i) % 17) as f64;
    let values: Vec<f64> = (0..50 * n_columns).map(value).collect();
    let names: Vec<String> = (0..n_columns).map(|column| format!("f{column}")).collect();
    let of = |names| Table::from_row_major(names, n_columns, values.clone()).expect("a table");
    let spec = TrainingSpec {
        detector: changed("isolation_forest", serde_json::json!({})),
        ..TrainingSpec::default()
    };
    let fit = |table| spec.fit(Some(table), &Context::new()).expect("fits").model;
    let (named, unnamed) = (fit(of(Some(names.clone()))), fit(of(None)));
    let scores = outputs(&named, of(None));
    assert_eq!(outputs(&unnamed, of(Some(names.clone()))), scores);
    assert_eq!(outputs(&unnamed, of(None)), scores);
    assert_eq!(unnamed.features().schema.features(), names);
}

/// One table with several columns of times: as CSV, as JSON Lines with the columns in reverse, and as typed columns.
fn forms(names: [&str; 3]) -> [Table; 3] {
    let day = |i: usize| format!("2024-01-{:02}", 1 + i % 28);
    let x = |i: usize| (i * 7 % 13) as f64;
    let epoch = |i: usize| 1_700_000_000 + 60 * i;
    let [one, two, three] = names;
    let (mut csv, mut lines) = (format!("{one},x,ts,{two},{three}\n"), String::new());
    for i in 0..60 {
        let (a, b, c) = (day(i), day(i + 3), day(i + 5));
        csv += &format!("{a},{},{},{b}T10:00:00Z,{c}\n", x(i), epoch(i));
        lines += &format!(
            "{{\"{three}\":\"{c}\",\"{two}\":\"{b}T10:00:00Z\",\"ts\":{},\"x\":{},\"{one}\":\"{a}\"}}\n",
            epoch(i),
            x(i)
        );
    }
    let times = |start: usize, hour: i64| {
        // 2024-01-01
        let time = |i: usize| 1_704_067_200 + 86_400 * ((i + start) % 28) as i64 + 3600 * hour;
        Column::Times((0..60).map(|i| time(i) * 1_000_000_000).collect())
    };
    let numbers = |of: &dyn Fn(usize) -> f64| Column::Numbers((0..60).map(of).collect());
    let columns = vec![
        numbers(&x),
        times(5, 0),
        times(3, 10),
        times(0, 0),
        numbers(&|i| epoch(i) as f64),
    ];
    let column_names = ["x", three, two, one, "ts"].map(str::to_owned).to_vec();
    let file = |content: &str, format| {
        let options = FileOptions {
            format: Some(format),
            ..FileOptions::default()
        };
        read(content.as_bytes(), &options, Limits::default()).expect("a table")
    };
    [
        file(&csv, Format::Csv),
        file(&lines, Format::JsonLines),
        Table::from_columns(Some(column_names), columns).expect("a table"),
    ]
}

#[test]
fn the_time_column_does_not_depend_on_the_form_of_the_table() {
    let spec = TrainingSpec {
        detector: changed("isolation_forest", serde_json::json!({})),
        ..TrainingSpec::default()
    };
    let roles = |time: Option<&str>| Roles {
        time: time.map(str::to_owned),
        ..Roles::default()
    };
    for (names, given_time, time) in [
        (["shipped", "created_at", "billed"], None, "created_at"),
        (["shipped", "ordered", "billed"], None, "billed"),
        (["shipped", "created_at", "billed"], Some("ts"), "ts"),
    ] {
        let models = forms(names).map(|table| {
            let spec = TrainingSpec {
                roles: roles(given_time),
                ..spec.clone()
            };
            spec.fit(Some(table), &Context::new()).expect("fits").model
        });
        let features: &[&str] = if time == "ts" { &["x"] } else { &["ts", "x"] };
        for model in &models {
            let schema = &model.features().schema;
            assert_eq!(
                schema
                    .column_of(Role::Time)
                    .map(|column| column.name.as_str()),
                Some(time)
            );
            let mut found = schema.features().to_vec();
            found.sort();
            assert_eq!(found, features);
        }
        let [csv, lines, columns] = forms(names);
        let scores = outputs(&models[0], csv);
        assert_eq!(outputs(&models[1], lines), scores);
        assert_eq!(outputs(&models[2], columns), scores);
    }
}
