//! Training on more rows than can be held, in passes over them. The model is the one that training on all of them at once gives,
//! as far as its detector's is.

use std::ops::ControlFlow;

use super::calibrate::{Calibration, ThresholdRule, calibrate};
use super::fit::{Fitted, MIN_ROWS, too_few};
use super::model::{Model, Statistics};
use super::reservoir::Reservoir;
use super::spec::TrainSpec;
use super::table_source::{PreparedRows, RawRows, TableSource};
use crate::calibration::Threshold;
use crate::context::Context;
use crate::error::{Error, Result, reason};
use crate::features::impute::Imputed;
use crate::features::scale::QUARTILES;
use crate::features::{
    CategoryCounts, Encoder, Engineering, Features, Gaps, Imputer, Label, Matching, Purpose, Roles,
    Scale, Schema, SchemaDraft, Vocabulary, raw_names,
};
use crate::statistics::exact_quantiles::{exact_quantiles, quantiles_within};
use crate::statistics::moments::{FeatureMoments, FeatureMomentsStream};
use crate::statistics::name_column;
use crate::statistics::rank_summary::ColumnStream;
use crate::statistics::reblock::EachBlock;

/// The most rows whose scores are held at once: 800 MB would be more than a model is worth.
const MAX_ROWS: usize = 50_000_000;

impl TrainSpec {
    /// Fits a model on tables that are too many to be held. To be called on the compute pool.
    ///
    /// All of them are learned from, whatever [`sample_rows`](Self::sample_rows) says: a sample can be held.
    ///
    /// Fails as [`fit`](Self::fit), and when the detector needs all rows at once.
    pub fn fit_streamed(&self, tables: &dyn TableSource, context: &Context) -> Result<Fitted> {
        let rule = self.check()?;
        if !self.detector.can_stream() {
            return Err(self.detector.cannot_stream());
        }
        let n_rows = tables.n_rows();
        if n_rows < MIN_ROWS {
            return Err(too_few(n_rows));
        }
        if n_rows > MAX_ROWS {
            let message = format!(
                "{n_rows} rows are more than the {MAX_ROWS} that a model can learn from at once"
            );
            return Err(Error::new(reason::UNUSABLE_ROWS, message).at("records"));
        }
        let schema = learn_schema(tables, &self.roles, context)?;
        let vocabulary = learn_vocabulary(&schema, tables, context)?;
        let engineering = match &self.engineering {
            Some(spec) => Some(Engineering::new(spec, &schema)?),
            None => None,
        };
        let rows = RawRows {
            tables,
            schema: &schema,
            matching: Matching {
                purpose: Purpose::Learn,
                policy: self.policy,
                needs_history: engineering.is_some(),
                vocabulary: &vocabulary,
            },
            engineering: engineering.as_ref(),
        };
        let (mut features, gaps) = self.learn_features(&rows, context)?;
        let names = features.names();
        let moments = learn_moments(&rows, &features, context)?;
        let quartiles = || {
            let visit = |each: &mut EachBlock<'_>| {
                rows.visit_values(context, &mut |raw| {
                    each(features.transform_unscaled(raw).view())
                })
            };
            let found = exact_quantiles(names.len(), &visit, &QUARTILES, context)?;
            let of_one =
                |found: Vec<Option<f64>>| std::array::from_fn(|i| found.get(i).copied().flatten());
            Ok(found.into_iter().map(of_one).collect())
        };
        features.scale = Scale::of_statistics(self.scaling(), &moments, quartiles, &names)?;

        let prepared = PreparedRows {
            rows: &rows,
            features: &features,
        };
        let learned = self
            .detector
            .fit_streamed(&prepared, context)
            .map_err(|error| name_column(error, &names))?;
        let model = Model {
            spec: self.clone(),
            features: features.clone(),
            detector: learned.detector,
            threshold: Threshold::given(0.0)?,
            statistics: Statistics {
                n_rows: n_rows as u64,
                n_missing_values: gaps.n_missing,
                n_infinite_values: gaps.n_infinite,
                features: Some(moments),
                ..Statistics::default()
            },
        };
        self.finish(model, &rows, learned.calibration_scores, rule, context)
    }

    /// Learns what stands in for missing values and how categories are encoded: one pass to see the values, and a second
    /// one where the medians need it.
    fn learn_features(&self, rows: &RawRows<'_>, context: &Context) -> Result<(Features, Gaps)> {
        let names = raw_names(rows.schema, rows.engineering);
        let vocabulary = rows.matching.vocabulary;
        let (mut gaps, mut counts) = (Gaps::default(), CategoryCounts::default());
        let mut stream = ColumnStream::new(names.len());
        rows.visit(context, &mut |block| {
            gaps.merge(&block.gaps);
            counts.add(block.raw.view(), vocabulary);
            stream.push(block.raw.view(), context)
        })?;
        let visit = |each: &mut EachBlock<'_>| rows.visit_values(context, each);
        let medians = quantiles_within(&stream.finish(context)?, &visit, &[0.5], context)?;
        let medians: Vec<Option<f64>> = medians
            .into_iter()
            .map(|of_one| of_one.first().copied().flatten())
            .collect();
        let imputed = Imputed {
            names: rows.schema.features(),
            vocabulary,
            imputation: self.imputation,
        };
        let features = Features {
            schema: rows.schema.clone(),
            policy: self.policy,
            vocabulary: vocabulary.clone(),
            engineering: rows.engineering.cloned(),
            imputer: Imputer::of_medians(&medians, &counts, imputed)?,
            encoder: Encoder::learn(names.len(), &counts, vocabulary, self.max_one_hot)?,
            scale: None,
        };
        Ok((features, gaps))
    }

    /// The last pass: scores all rows, sets the threshold and fills the reservoir.
    fn finish(
        &self,
        mut model: Model,
        rows: &RawRows<'_>,
        known_scores: Option<Vec<f64>>,
        rule: ThresholdRule,
        context: &Context,
    ) -> Result<Fitted> {
        let mut reservoir = Reservoir::new(
            self.reservoir_size,
            model.features.n_raw(),
            self.detector.random_state(),
        )
        .with_vocabulary(model.features.vocabulary.clone());
        let mut scores = Vec::new();
        let mut labels: Option<Vec<Label>> = None;
        let builder = rows.visit(context, &mut |block| {
            reservoir.offer(&block.raw, block.labels.as_deref());
            if let Some(of_block) = block.labels {
                labels.get_or_insert_default().extend(of_block);
            }
            if known_scores.is_none() {
                scores.extend(model.score_raw(block.raw.view(), context)?);
            }
            Ok(())
        })?;
        let scores = known_scores.unwrap_or(scores);
        let calibration: Calibration = calibrate(rule, &scores, None, labels.as_deref())?;
        model.set_calibration(calibration);
        if let (Some(engineering), Some(builder)) = (model.features.engineering.take(), builder) {
            model.features.engineering = Some(engineering.remembering(builder)?);
        }
        Ok(Fitted {
            model,
            reservoir: Some(reservoir),
        })
    }
}

/// The columns and their roles: of the first table alone, but where later ones decide which column holds the times.
fn learn_schema(tables: &dyn TableSource, roles: &Roles, context: &Context) -> Result<Schema> {
    let mut draft: Option<SchemaDraft> = None;
    tables.visit(context, &mut |table| {
        let draft = match &mut draft {
            Some(draft) => draft,
            None => draft.insert(SchemaDraft::new(&table, roles)?),
        };
        draft.see(&table)?;
        Ok(match draft.is_settled() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        })
    })?;
    draft.ok_or_else(|| too_few(0))?.finish()
}

/// The texts of all categorical features: a pass of its own, but where there is none.
fn learn_vocabulary(
    schema: &Schema,
    tables: &dyn TableSource,
    context: &Context,
) -> Result<Vocabulary> {
    let mut vocabulary = Vocabulary::default().widened(schema);
    if vocabulary != Vocabulary::default() {
        tables.visit(context, &mut |table| {
            vocabulary.learn_more(schema, &table)?;
            Ok(ControlFlow::Continue(()))
        })?;
    }
    Ok(vocabulary.sorted())
}

fn learn_moments(
    rows: &RawRows<'_>,
    features: &Features,
    context: &Context,
) -> Result<FeatureMoments> {
    let mut stream = FeatureMomentsStream::new(features.n_features());
    rows.visit_values(context, &mut |raw| {
        stream.push(features.transform_unscaled(raw).view(), context)
    })
    .and_then(|()| stream.finish(context))
    .map_err(|error| name_column(error, &features.names()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::detector::DetectorParams;
    use crate::features::{EngineeringParams, EngineeringSpec, Scaling};
    use crate::pipeline::EachTable;
    use crate::pipeline::artifact;
    use crate::table::{Column, Table, TextColumn};

    /// A table in pieces.
    struct Pieces(Vec<Table>);

    impl TableSource for Pieces {
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

    fn pieces(table: &Table, sizes: &[usize]) -> Pieces {
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
        Pieces(cut)
    }

    /// Readings of two sensors with gaps, and of a kind.
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

    fn specs() -> Vec<TrainSpec> {
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
        let streaming = all.into_iter().filter(DetectorParams::can_stream);
        let mut specs: Vec<TrainSpec> = streaming
            .map(|detector| TrainSpec {
                detector,
                roles: roles.clone(),
                reservoir_size: 50,
                ..TrainSpec::default()
            })
            .collect();
        specs.push(TrainSpec {
            engineering: Some(engineering),
            max_one_hot: 2,
            ..specs[0].clone()
        });
        specs.push(TrainSpec {
            detector: DetectorParams::Pca(Default::default()),
            scaling: Some(Scaling::Robust),
            ..specs[0].clone()
        });
        specs
    }

    proptest! {
            #![proptest_config(ProptestConfig::with_cases(6))]

            #[test]
            fn the_model_is_that_of_all_rows_at_once(
                n in 40..300_usize,
                sizes in prop::collection::vec(1..90_usize, 1..6),
            ) {
                let table = readings(n);
                let context = Context::new();
                for spec in specs() {
                    let whole = spec.fit(Some(table.clone()), &context).expect("fits");
                    let streamed = spec.fit_streamed(&pieces(&table, &sizes), &context).expect("fits");
                    let name = spec.detector.name();
                    prop_assert_eq!(&streamed.model.features, &whole.model.features, "{}", name);
                    prop_assert_eq!(&streamed.model.statistics, &whole.model.statistics, "{}", name);
    // by their bytes: reservoirs hold NaN
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

    #[test]
    fn detectors_that_need_all_rows_say_so() {
        let table = readings(60);
        let all = DetectorParams::defaults();
        for detector in all.into_iter().filter(|detector| !detector.can_stream()) {
            let spec = TrainSpec {
                detector,
                ..TrainSpec::default()
            };
            let error = spec
                .fit_streamed(&pieces(&table, &[20]), &Context::new())
                .expect_err("refused");
            assert!(
                error
                    .message()
                    .contains("learns from rows only that can all be held"),
                "{error}"
            );
        }
    }

    #[test]
    fn engineered_rows_must_come_in_order() {
        let table = readings(60);
        let turned = Pieces(vec![table.slice_rows(30..60), table.slice_rows(0..30)]);
        let spec = specs().swap_remove(8);
        assert!(spec.engineering.is_some());
        let error = spec
            .fit_streamed(&turned, &Context::new())
            .expect_err("refused");
        assert!(error.message().starts_with("row 30 is earlier"), "{error}");
    }
}
