//! A source of rows prepared for a detector.

use ndarray::Axis;

use super::raw_source::RawSource;
use crate::context::Context;
use crate::detector::{Chunk, EachChunk, RowSource};
use crate::error::Result;
use crate::features::Features;

/// The most values that are prepared at a time.
const MAX_PREPARED: usize = 1 << 21;

/// Rows that are imputed, encoded and scaled in each pass over them.
pub(super) struct PreparedRows<'a> {
    pub(super) rows: &'a dyn RawSource,
    pub(super) features: &'a Features,
}

impl RowSource for PreparedRows<'_> {
    fn n_rows(&self) -> usize {
        self.rows.n_rows()
    }

    fn n_features(&self) -> usize {
        self.features.n_features()
    }

    fn visit(&self, context: &Context, each: &mut EachChunk<'_>) -> Result<()> {
        // an encoded row may be many times as long as a raw one
        let n_rows = (MAX_PREPARED / self.features.n_features().max(1)).max(1);
        let pass = self.rows.visit(context, &mut |chunk| {
            for raw in chunk.raw.axis_chunks_iter(Axis(0), n_rows) {
                let observed = self.features.transform_observed(raw);
                let rows = self.features.transform(raw);
                each(Chunk {
                    rows: rows.view(),
                    observed: observed.view(),
                })?;
            }
            Ok(())
        });
        pass.map(drop)
    }
}
