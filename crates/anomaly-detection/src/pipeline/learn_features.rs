//! Learning how rows are prepared for a detector: what stands in for missing values, how categories are encoded and how values
//! are scaled.

use super::raw_source::RawSource;
use super::spec::TrainingSpec;
use crate::context::Context;
use crate::error::Result;
use crate::features::impute::Imputed;
use crate::features::scale::QUARTILES;
use crate::features::{CategoryCounts, Encoder, Features, Gaps, Imputer, Scale, Schema, raw_names};
use crate::statistics::exact_quantiles::{QuantileSearch, exact_quantiles};
use crate::statistics::moments::{FeatureMoments, FeatureMomentsStream};
use crate::statistics::name_column;
use crate::statistics::reblock::EachBlock;
use crate::table::check_cells;

/// How rows are prepared, and what was seen of them meanwhile.
pub(super) struct LearnedFeatures {
    pub(super) features: Features,
    pub(super) gaps: Gaps,
    /// The moments of the columns that a detector sees, before they are scaled.
    pub(super) moments: FeatureMoments,
}

impl TrainingSpec {
    /// Learns from rows in two passes, and one or two more where medians, or quartiles to scale by, need it.
    pub(super) fn learn_features(
        &self,
        schema: Schema,
        rows: &dyn RawSource,
        context: &Context,
    ) -> Result<LearnedFeatures> {
        let (mut features, gaps) = self.learn_columns(schema, rows, context)?;
        context.check()?;
        let names = features.names();
        let visit = |each: &mut EachBlock<'_>| {
            let pass = rows.visit(context, &mut |block| {
                each(features.transform_unscaled(block.raw).view())
            });
            pass.map(drop)
        };
        let mut stream = FeatureMomentsStream::new(names.len());
        let moments = visit(&mut |rows| stream.push(rows, context))
            .and_then(|()| stream.finish(context))
            .map_err(|error| name_column(error, &names))?;
        context.check()?;
        let quartiles = || {
            let shape = (rows.n_rows(), names.len());
            let found = exact_quantiles(shape, &visit, &QUARTILES, context)?;
            let of_one =
                |found: Vec<Option<f64>>| std::array::from_fn(|i| found.get(i).copied().flatten());
            Ok(found.into_iter().map(of_one).collect())
        };
        let scale = Scale::learn(self.scaling(), &moments, quartiles, &names)?;
        context.check()?;
        features.scale = scale;
        Ok(LearnedFeatures {
            features,
            gaps,
            moments,
        })
    }

    /// Learns what stands in for missing values and how categories are encoded: one pass to see the values, and a second one
    /// where the medians need it.
    fn learn_columns(
        &self,
        schema: Schema,
        rows: &dyn RawSource,
        context: &Context,
    ) -> Result<(Features, Gaps)> {
        let names = raw_names(&schema, rows.engineering());
        let vocabulary = rows.vocabulary();
        let (mut gaps, mut counts) = (Gaps::default(), CategoryCounts::default());
        let mut search = QuantileSearch::new((rows.n_rows(), names.len()));
        rows.visit(context, &mut |block| {
            gaps.merge(block.gaps);
            counts.add(block.raw, vocabulary);
            search.push(block.raw, context)
        })?;
        let visit = |each: &mut EachBlock<'_>| {
            let pass = rows.visit(context, &mut |block| each(block.raw));
            pass.map(drop)
        };
        let medians = search.finish(&visit, &[0.5], context)?;
        let medians: Vec<Option<f64>> = medians
            .into_iter()
            .map(|of_one| of_one.first().copied().flatten())
            .collect();
        let imputed = Imputed {
            names: &names,
            n_features: schema.n_features(),
            // of a reservoir and new rows, these may be the first ones of their series
            may_lack_engineered: rows.held().is_some_and(|held| held.weights.is_some()),
            vocabulary,
            imputation: self.imputation,
        };
        let imputer = Imputer::learn(&medians, &counts, imputed)?;
        let encoder = Encoder::learn(names.len(), &counts, vocabulary, self.max_one_hot)?;
        if let Some(held) = rows.held() {
            check_cells(held.raw.nrows(), encoder.n_columns())?;
        }
        let features = Features {
            policy: self.feature_policy,
            vocabulary: vocabulary.clone(),
            engineering: rows.engineering().cloned(),
            schema,
            imputer,
            encoder,
            scale: None,
        };
        Ok((features, gaps))
    }
}
