//! A row has bit for bit the same features however it is passed.

use proptest::prelude::*;

use super::*;

/// Owned rows.
#[derive(Debug, Clone)]
struct Given {
    columns: Vec<Vec<f64>>,
    times: Vec<Option<i64>>,
    codes: Vec<u32>,
    keys: Vec<String>,
}

impl Given {
    fn slice(&self, range: std::ops::Range<usize>) -> Self {
        Self {
            columns: self
                .columns
                .iter()
                .map(|c| c[range.clone()].to_vec())
                .collect(),
            times: self.times[range.clone()].to_vec(),
            codes: self.codes[range].to_vec(),
            keys: self.keys.clone(),
        }
    }

    fn with<T>(&self, run: impl FnOnce(&Rows<'_>) -> T) -> T {
        let columns: Vec<&[f64]> = self.columns.iter().map(Vec::as_slice).collect();
        run(&Rows {
            n_rows: self.codes.len(),
            columns: &columns,
            times: Some(&self.times),
            series: Some(SeriesOfRows {
                codes: &self.codes,
                keys: &self.keys,
            }),
        })
    }

    fn apply(&self, builder: &mut Builder) -> Vec<u64> {
        self.with(|rows| bits(&builder.apply(rows, &Context::new()).expect("made")))
    }

    fn push(&self, builder: &mut Builder) -> Vec<u64> {
        self.with(|rows| bits(&push_all(builder, rows)))
    }
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => -1e3..1e3f64,
        2 => Just(5.0),
        1 => Just(f64::NAN),
        1 => Just(-f64::NAN),
        1 => Just(f64::INFINITY),
        1 => Just(-0.0),
        1 => Just(1e300),
        1 => Just(-1.7e308),
        1 => Just(1e-310),
    ]
}

fn given(most: usize, n_series: u32) -> impl Strategy<Value = Given> {
    let row = (
        value(),
        value(),
        prop::option::weighted(0.9, any::<i64>()),
        0..n_series,
    );
    prop::collection::vec(row, 1..most).prop_map(move |rows| Given {
        columns: vec![
            rows.iter().map(|row| row.0).collect(),
            rows.iter().map(|row| row.1).collect(),
        ],
        times: rows.iter().map(|row| row.2).collect(),
        codes: rows.iter().map(|row| row.3).collect(),
        // two names are the same, as in a table joined from several dictionaries
        keys: (0..n_series).map(|code| format!("s{}", code % 7)).collect(),
    })
}

fn stored(histories: &Histories, engineer: &Engineer) -> Histories {
    let bytes = crate::messagepack::written(histories).expect("written");
    let read: Histories = crate::messagepack::read(&bytes).expect("read");
    assert_eq!(crate::messagepack::written(&read).expect("written"), bytes);
    assert!(read == *histories);
    read.validate(engineer).expect("valid");
    read
}

/// Compares a batch, single rows, chunks with the model stored in between, and chunks of a stream.
fn check(engineer: &Engineer, given: &Given, cuts: &[usize]) {
    let n = given.codes.len();
    let mut batch = Builder::new(engineer, Histories::default());
    let expected = given.apply(&mut batch);
    let mut single = Builder::new(engineer, Histories::default());
    assert!(given.push(&mut single) == expected, "row by row");
    let remembered = batch.into_histories();
    assert!(
        single.into_histories() == remembered,
        "what row by row remembers"
    );

    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (n + 1)).chain([0, n]).collect();
    cuts.sort_unstable();
    let mut histories = Histories::default();
    let mut stream = Builder::new(engineer, Histories::default());
    let (mut from_tails, mut streamed) = (Vec::new(), Vec::new());
    for (index, cut) in cuts.windows(2).enumerate() {
        let part = given.slice(cut[0]..cut[1]);
        let mut builder = Builder::new(engineer, stored(&histories, engineer));
        from_tails.extend(if index % 2 == 0 {
            part.apply(&mut builder)
        } else {
            part.push(&mut builder)
        });
        histories = builder.into_histories();
        streamed.extend(if index % 3 == 0 {
            part.push(&mut stream)
        } else {
            part.apply(&mut stream)
        });
    }
    assert!(from_tails == expected, "from stored tails");
    assert!(streamed == expected, "along a stream");
    assert!(histories == remembered, "what stored tails remember");
    assert!(
        stream.into_histories() == remembered,
        "what a stream remembers"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn short_windows(given in given(150, 8), cuts in prop::collection::vec(0..1000usize, 0..8)) {
        check(&engineer(&[1, 2, 3, 7], &[7, 24], &["a", "b"], true), &given, &cuts);
    }

    #[test]
    fn carried_windows(given in given(900, 2), cuts in prop::collection::vec(0..1000usize, 0..8)) {
        check(&engineer(&[2, 301], &[300, 129, 2], &["a", "b"], true), &given, &cuts);
    }

    #[test]
    fn more_series_than_are_remembered(given in given(150, 8), cuts in prop::collection::vec(0..1000usize, 0..8)) {
        // the limit of a plan is too high for a test
        let engineer = engineer(&[1, 2], &[3], &["a", "b"], true);
        let limited = |histories| Builder::new(&engineer, histories).with_max_series(3);
        let expected = given.push(&mut limited(Histories::default()));
        let mut stream = limited(Histories::default());
        let mut histories = Histories::default();
        let (mut streamed, mut from_tails) = (Vec::new(), Vec::new());
        let n = given.codes.len();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (n + 1)).chain([0, n]).collect();
        cuts.sort_unstable();
        for cut in cuts.windows(2) {
            let part = given.slice(cut[0]..cut[1]);
            streamed.extend(part.apply(&mut stream));
            let mut builder = limited(stored(&histories, &engineer));
            from_tails.extend(part.apply(&mut builder));
            histories = builder.into_histories();
            prop_assert!(histories.len() <= 3);
        }
        prop_assert!(streamed == expected);
        prop_assert!(from_tails == expected);
        prop_assert!(stream.into_histories() == histories);
    }
}

#[test]
fn stretches_and_threads_change_nothing() {
    let n = 50_000;
    let values: Vec<f64> = (0..n)
        .map(|i| {
            if i % 97 == 0 {
                f64::NAN
            } else {
                f64::from(i * 7919 % 10_007) * 0.37
            }
        })
        .collect();
    let engineer = engineer(&[1, 7], &[24, 1000], &["a"], false);
    let rows = Rows {
        n_rows: values.len(),
        columns: &[&values],
        times: None,
        series: None,
    };
    let mut single = Builder::new(&engineer, Histories::default());
    let expected = bits(&push_all(&mut single, &rows));
    let remembered = single.into_histories();
    for n_threads in [1, 2, 5] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(n_threads)
            .build()
            .expect("a pool");
        let mut builder = Builder::new(&engineer, Histories::default());
        let made = pool.install(|| builder.apply(&rows, &Context::new()).expect("made"));
        assert!(bits(&made) == expected, "{n_threads} threads");
        assert!(builder.into_histories() == remembered);
    }
}

#[test]
fn a_prediction_does_not_change_the_model() {
    let engineer = engineer(&[1], &[2], &["a"], false);
    let mut builder = Builder::new(&engineer, Histories::default());
    let mut out = vec![0.0; engineer.n_features()];
    for value in [1.0, 2.0, 4.0] {
        builder.push("", &[value], None, &mut out).expect("taken");
    }
    let model = builder.into_histories();
    let predict = |value| {
        let mut out = vec![0.0; engineer.n_features()];
        let mut builder = Builder::new(&engineer, model.clone());
        builder.push("", &[value], None, &mut out).expect("taken");
        out
    };
    let first = predict(8.0);
    assert_eq!(first[..2], [4.0, 3.0]);
    assert_eq!(predict(8.0), first);
}

#[test]
fn a_cancelled_context_stops_the_work() {
    let engineer = engineer(&[1], &[2], &["a"], false);
    let context = Context::new();
    context.cancel();
    let rows = Rows {
        n_rows: 2,
        columns: &[&[1.0, 2.0]],
        times: None,
        series: None,
    };
    let mut builder = Builder::new(&engineer, Histories::default());
    let error = builder.apply(&rows, &context).expect_err("stopped");
    assert_eq!(error.reason(), reason::CANCELLED);
}
