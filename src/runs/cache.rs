//! Models in memory, bounded in bytes. Keyed by blob: a blob never changes, so no entry needs to be invalidated.

use std::sync::Arc;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use crate::caller::Caller;
use crate::compute::{Admission, Class, Compute};
use crate::error::Error;
use crate::store::{BlobName, BlobRef, Owner, Store, StoreError};
use anomaly_detection::pipeline::{Model, artifact};

/// The largest model that is decoded in a few milliseconds.
const SMALL_MODEL_BYTES: u64 = 4 << 20;

#[derive(Debug)]
pub(super) struct ModelCache {
    models: Cache<BlobName, Entry, BySize>,
}

#[derive(Debug, Clone)]
struct Entry {
    model: Arc<Model>,
    size: u64,
}

#[derive(Debug, Clone)]
struct BySize;

impl Weighter<BlobName, Entry> for BySize {
    fn weight(&self, _: &BlobName, entry: &Entry) -> u64 {
        entry.size.max(1)
    }
}

/// Why a model cannot be loaded.
pub(super) enum LoadError {
    /// Its blob does not exist: the version is no longer kept, or the run was deleted.
    Gone(StoreError),
    /// Anything else.
    Failed(Error),
}

impl From<LoadError> for Error {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Gone(error) => error.into(),
            LoadError::Failed(error) => error,
        }
    }
}

impl ModelCache {
    pub(super) fn new(bytes: u64) -> Self {
        const TYPICAL_MODEL_BYTES: u64 = 256 * 1024;
        let items = usize::try_from(bytes / TYPICAL_MODEL_BYTES)
            .unwrap_or(usize::MAX)
            .clamp(16, 1 << 16);
        // no shards, and nothing set aside for new models, so that a model may be as large as all the memory
        let options = OptionsBuilder::new()
            .estimated_items_capacity(items)
            .weight_capacity(bytes)
            .shards(1)
            .hot_allocation(1.0)
            .build()
            .expect("both capacities are set");
        let models = Cache::with_options(
            options,
            BySize,
            DefaultHashBuilder::default(),
            DefaultLifecycle::default(),
        );
        Self { models }
    }

    /// The model in a blob of an owner, from memory or else from the store. Concurrent callers share one load.
    pub(super) async fn get(
        &self,
        store: &impl Store,
        compute: &Compute,
        owner: Owner,
        blob: &BlobRef,
    ) -> Result<Arc<Model>, LoadError> {
        if let Some(entry) = self.models.get(&blob.name) {
            return Ok(entry.model);
        }
        let load = async {
            let bytes = store.get_blob(blob).await.map_err(|error| match error {
                StoreError::BlobNotFound { .. } => LoadError::Gone(error),
                error => LoadError::Failed(error.into()),
            })?;
            let size = bytes.len() as u64;
            let class = Class::small_if(size <= SMALL_MODEL_BYTES);
            let decode = move |_: &_| artifact::decode_model(&bytes);
            // the others who wait for it have deadlines of their own
            let caller = Caller {
                owner,
                deadline: None,
            };
            let model = compute
                .run(caller, class, Admission::Wait, decode)
                .await
                .map_err(LoadError::Failed)?;
            Ok(Entry {
                model: Arc::new(model),
                size,
            })
        };
        Ok(self
            .models
            .get_or_insert_async(&blob.name, load)
            .await?
            .model)
    }

    /// Adds a model that was just stored.
    pub(super) fn insert(&self, blob: &BlobRef, model: Arc<Model>) {
        let size = blob.size;
        self.models.insert(blob.name, Entry { model, size });
    }

    /// Removes a model whose blob is deleted.
    pub(super) fn remove(&self, blob: BlobName) {
        self.models.remove(&blob);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anomaly_detection::context::Context;
    use anomaly_detection::pipeline::TrainingSpec;
    use anomaly_detection::table::Table;

    #[test]
    fn a_model_may_be_as_large_as_all_the_memory() {
        const BYTES: u64 = 100 << 20;
        let table = Table::from_row_major(None, 1, vec![1.0, 2.0, 4.0]).expect("valid");
        let spec = TrainingSpec::default();
        let fitted = spec.fit(Some(table), &Context::new());
        let model = Arc::new(fitted.expect("fits").model);
        let cache = ModelCache::new(BYTES);
        let insert = |size| {
            let blob = BlobRef {
                name: BlobName::random(),
                sha256: [0; 32],
                size,
            };
            cache.insert(&blob, Arc::clone(&model));
            blob.name
        };
        let is_held = |name: &BlobName| cache.models.get(name).is_some();
        let halves = [insert(BYTES / 2), insert(BYTES / 2)];
        assert!(halves.iter().all(is_held));
        let whole = insert(BYTES);
        assert!(is_held(&whole) && !halves.iter().any(is_held));
        assert!(!is_held(&insert(BYTES + 1)));
        assert!(is_held(&insert(BYTES / 3)));
        assert!(cache.models.weight() <= BYTES);
    }
}
