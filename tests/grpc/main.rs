//! A real server on a real socket with a real store on disk, called by real gRPC clients.

mod concurrency;
mod datasets;
mod detectors;
mod extremes;
mod features;
mod forms;
mod harness;
mod hostile;
mod identity;
mod lifecycle;
mod metrics;
mod parameters;
mod series;
mod stream;
mod supervised;
mod update;
