//! Learns how rows are prepared for a detector: the values imputed for missing ones, the encoding of categories and the scaling.

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
use crate::statistics::rechunk::EachChunk;
use crate::table::check_cells;

/// How rows are prepared, with the statistics of the rows that this was learned from.
pub(super) struct LearnedFeatures {
    pub(super) features: Features,
    pub(super) gaps: Gaps,
    /// The moments of the columns that a detector sees, before they are scaled.
    pub(super) moments: FeatureMoments,
}

impl TrainingSpec {
    /// Learns from the rows in two passes, with one more if exact medians need it and up to two more for robust scaling.
    pub(super) fn learn_features(
        &self,
        schema: Schema,
        rows: &dyn RawSource,
        context: &Context,
    ) -> Result<LearnedFeatures> {
        let (mut features, gaps) = self.learn_columns(schema, rows, context)?;
        context.check()?;
        let names = features.names();
        let visit = |each: &mut EachChunk<'_>| {
            let pass = rows.visit(context, &mut |chunk| {
                each(features.transform_unscaled(chunk.raw).view())
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

    /// Learns the imputed values and the encoding of categories, in one pass and a second one if exact medians need it.
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
        rows.visit(context, &mut |chunk| {
            gaps.merge(chunk.gaps);
            counts.add(chunk.raw, vocabulary);
            search.push(chunk.raw, context)
        })?;
        let visit = |each: &mut EachChunk<'_>| {
            let pass = rows.visit(context, &mut |chunk| each(chunk.raw));
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
            // rows with weights come from a reservoir and an update, and the new ones may be the first of their series
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
