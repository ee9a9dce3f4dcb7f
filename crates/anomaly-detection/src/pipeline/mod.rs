//! Models: features, detector and threshold joined, from training to scores, updates and stored bytes.

mod adopt;
pub mod artifact;
mod fit;
mod learn_features;
mod learning_rows;
mod model;
mod prepared_rows;
mod raw_source;
pub mod reservoir;
mod score;
mod shown;
mod spec;
mod table_source;
mod update;
mod validation;

pub use crate::statistics::draw::Draw;
pub use fit::Fitted;
pub use model::{Model, RowDetail, Statistics};
pub use reservoir::Reservoir;
pub use score::{Describe, Scored};
pub use shown::{ColumnStatistics, ShownMoments};
pub use spec::{DEFAULT_VALIDATION_FRACTION, MAX_ONE_HOT, TrainingSpec};
pub use table_source::{EachTable, TableSource};
