//! The fitted whole: features, detector and threshold, from a table to scores and from a model to bytes.

mod adopt;
pub mod artifact;
mod calibrate;
mod fit;
mod fit_streamed;
mod learning_rows;
mod model;
pub mod reservoir;
mod score;
mod spec;
mod table_source;
mod update;
mod validation;

pub use crate::statistics::draw::Draw;
pub use fit::Fitted;
pub use model::{Model, RowDetail, Statistics};
pub use reservoir::Reservoir;
pub use score::Scored;
pub use spec::{DEFAULT_VALIDATION_FRACTION, MAX_ONE_HOT, TrainSpec};
pub use table_source::{EachTable, TableSource};
