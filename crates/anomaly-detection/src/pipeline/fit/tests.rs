use std::sync::Mutex;

use proptest::prelude::*;

use super::*;
use crate::context::{Progress, Reached};
use crate::detector::DetectorParams;
use crate::features::{EngineeringParams, EngineeringSpec};
use crate::pipeline::EachTable;
use crate::pipeline::artifact;
use crate::table::{Column, Table, TextColumn};

/// A table in chunks.
struct Chunks(Vec<Table>);

impl TableSource for Chunks {
    fn n_rows(&self) -> usize {
        self.0.iter().map(Table::n_rows).sum()
    }

    fn visit(&self, _: &Context, each: &mut EachTable<'_>) -> Result<()> {
        for table in self.0.iter().cloned() {
            if each(table)?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

fn in_chunks(table: &Table, sizes: &[usize]) -> Chunks {
    let mut start = 0;
    let mut cut = Vec::new();
    for &size in sizes.iter().cycle() {
        let end = (start + size).min(table.n_rows());
        cut.push(table.slice_rows(start..end));
        start = end;
        if start == table.n_rows() {
            break;
        }
    }
    Chunks(cut)
}

/// Readings of two sensors, with gaps and a category.
fn readings(n: usize) -> Table {
    let kinds: TextColumn = (0..n)
        .map(|i| ["b", "a", "c"].get(i * 7 % 5).copied())
        .collect();
    let number = |i: usize| match i % 11 {
        0 => f64::NAN,
        _ => (i as f64 * 0.7).sin() * 10.0 + (i * i % 17) as f64,
    };
    let names = ["time", "sensor", "kind", "x", "y", "bad"]
        .map(str::to_owned)
        .to_vec();
    let columns = vec![
        Column::Times((0..n as i64).map(|i| i * 60_000_000_000).collect()),
        Column::Numbers((0..n).map(|i| (i % 2) as f64).collect()),
        Column::Texts(kinds),
        Column::Numbers((0..n).map(number).collect()),
        Column::Numbers((0..n).map(|i| number(i * 3 + 1) * 5.0).collect()),
        Column::Booleans((0..n).map(|i| f64::from(u8::from(i % 40 == 3))).collect()),
    ];
    Table::from_columns(Some(names), columns).expect("a table")
}

fn specs() -> Vec<TrainingSpec> {
    let roles = Roles {
        target: Some("x".to_owned()),
        series: Some("sensor".to_owned()),
        label: Some("bad".to_owned()),
        ..Roles::default()
    };
    let engineering = EngineeringSpec {
        params: EngineeringParams::default(),
        columns: Vec::new(),
    };
    let all = DetectorParams::defaults();
    let mut specs: Vec<TrainingSpec> = all
        .into_iter()
        .map(|detector| TrainingSpec {
            detector,
            roles: roles.clone(),
            reservoir_size: 50,
            ..TrainingSpec::default()
        })
        .collect();
    specs.push(TrainingSpec {
        engineering: Some(engineering),
        max_one_hot: 2,
        ..specs[0].clone()
    });
    specs.push(TrainingSpec {
        detector: DetectorParams::Pca(Default::default()),
        scaling: Some(Scaling::Robust),
        ..specs[0].clone()
    });
    specs
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn a_fit_in_passes_gives_the_same_model(
        n in 40..300_usize,
        sizes in prop::collection::vec(1..90_usize, 1..6),
    ) {
        let table = readings(n);
        let context = Context::new();
        for spec in specs() {
            let whole = spec.fit(Some(table.clone()), &context).expect("fits");
            let streamed = spec.fit_in_passes(&in_chunks(&table, &sizes), &context).expect("fits");
            let name = spec.detector.name();
            prop_assert_eq!(&streamed.model.features, &whole.model.features, "{}", name);
            prop_assert_eq!(&streamed.model.statistics, &whole.model.statistics, "{}", name);
            // compared by their bytes, because reservoirs hold NaN
            let model = |fitted: &Fitted| artifact::encode_model(&fitted.model).expect("encodes");
            prop_assert!(model(&streamed) == model(&whole), "{}", name);
            let reservoir = |fitted: &Fitted| {
                fitted.reservoir.as_ref().map(|reservoir| {
                    artifact::encode_reservoir(reservoir).expect("encodes")
                })
            };
            prop_assert!(reservoir(&streamed) == reservoir(&whole), "{}", name);
        }
    }
}

/// Tables that note how far the work was whenever one of them was passed.
struct Watched {
    tables: Chunks,
    progress: Progress,
    seen: Mutex<Vec<Reached>>,
}

impl TableSource for Watched {
    fn n_rows(&self) -> usize {
        self.tables.n_rows()
    }

    fn visit(&self, context: &Context, each: &mut EachTable<'_>) -> Result<()> {
        self.tables.visit(context, &mut |table| {
            let reached = self.progress.reached();
            self.seen.lock().expect("no panic").push(reached);
            each(table)
        })
    }
}

#[test]
fn progress_only_grows_and_ends_with_all_rows() {
    let table = readings(200);
    for spec in specs() {
        let name = spec.detector.name();
        let progress = Progress::new(stage::READING);
        let context = Context::new().reporting(Some(&progress));
        let watched = Watched {
            tables: in_chunks(&table, &[30]),
            progress: progress.clone(),
            seen: Mutex::default(),
        };
        spec.fit_in_passes(&watched, &context).expect("fits");
        let mut seen = watched.seen.into_inner().expect("no panic");
        seen.push(progress.reached());
        let order = |reached: &Reached| (reached.step, reached.done);
        assert!(seen.is_sorted_by_key(order), "{name}: {seen:?}");
        let first = seen.first().expect("a table");
        assert_eq!((first.stage, first.done), (stage::PREPARING, 0), "{name}");
        let half_way = |reached: &&Reached| reached.done > 0;
        let counted = seen.iter().find(half_way).expect("rows are counted");
        assert_eq!(
            (counted.unit, counted.total),
            (Some(Unit::Rows), Some(200)),
            "{name}"
        );

        spec.fit(Some(table.clone()), &context).expect("fits");
        let last = progress.reached();
        match spec.detector.is_supervised() {
            true => assert_eq!(last.stage, stage::VALIDATING, "{name}"),
            false => assert_eq!(last.stage, stage::CALIBRATING, "{name}"),
        }
        assert!(last.step > seen[seen.len() - 1].step, "{name}");
    }
}

/// A source that claims more rows than can be held and passes only the first ones.
struct TooMany(Table);

impl TableSource for TooMany {
    fn n_rows(&self) -> usize {
        MAX_ROWS
    }

    fn visit(&self, _: &Context, each: &mut EachTable<'_>) -> Result<()> {
        each(self.0.clone()).map(drop)
    }
}

#[test]
fn detectors_that_need_all_rows_refuse_more_than_can_be_held() {
    let table = TooMany(readings(60));
    let all = DetectorParams::defaults();
    for detector in all.into_iter().filter(|detector| !detector.can_stream()) {
        let spec = TrainingSpec {
            detector,
            ..TrainingSpec::default()
        };
        let error = spec
            .fit_in_passes(&table, &Context::new())
            .expect_err("refused");
        assert!(
            error.message().contains("needs all rows in memory at once"),
            "{error}"
        );
    }
}

#[test]
fn feature_engineering_in_passes_needs_sorted_rows() {
    let table = readings(60);
    let turned = Chunks(vec![table.slice_rows(30..60), table.slice_rows(0..30)]);
    let mut specs = specs().into_iter();
    let spec = specs.find(|spec| spec.engineering.is_some());
    let spec = spec.expect("one engineers features");
    let error = spec
        .fit_in_passes(&turned, &Context::new())
        .expect_err("refused");
    assert!(error.message().starts_with("row 30 is earlier"), "{error}");
}

#[test]
fn a_feature_whose_only_value_is_held_out_leaves_no_metrics() {
    let n = 40;
    let bad: Vec<f64> = (0..n).map(|i| f64::from(u8::from(i % 4 == 0))).collect();
    let spec = TrainingSpec {
        detector: DetectorParams::LogisticRegression(Default::default()),
        roles: Roles {
            label: Some("bad".to_owned()),
            ..Roles::default()
        },
        ..TrainingSpec::default()
    };
    let mut n_without = 0;
    for row in 0..n {
        let mut rare = vec![f64::NAN; n];
        rare[row] = 1.0;
        let columns = vec![
            Column::Numbers((0..n).map(|i| (i as f64 * 0.7).sin()).collect()),
            Column::Numbers(rare),
            Column::Booleans(bad.clone()),
        ];
        let names = ["x", "rare", "bad"].map(str::to_owned).to_vec();
        let table = Table::from_columns(Some(names), columns).expect("a table");
        let fitted = spec.fit(Some(table), &Context::new()).expect("fits");
        n_without += usize::from(fitted.model.statistics().label_metrics.is_none());
    }
    let classes: Vec<bool> = bad.iter().map(|&bad| bad == 1.0).collect();
    let fraction = spec.validation_fraction();
    let split = Split::stratified(&classes, fraction, spec.detector.random_state());
    assert_eq!(n_without, split.expect("both classes").held_out.len());
}
