//! A real server on a real socket with a real store on disk, called by real gRPC clients.

mod answers;
mod concurrency;
pub(crate) mod datasets;
mod descriptors;
pub(crate) mod detectors;
mod extremes;
mod fairness;
mod features;
mod forms;
pub(crate) mod harness;
mod hostile;
mod identity;
mod lifecycle;
mod memory;
mod metrics;
mod operations;
mod parameters;
mod places;
mod row_ids;
mod series;
mod shared_store;
mod specs;
mod stream;
pub(crate) mod supervised;
mod update;
mod versions;
