//! What commands show: tables and plots for people, JSON for programs.

pub(super) mod chart;
mod columns;
pub(super) mod dataset;
pub(super) mod json;
pub(super) mod model;
mod parameters;
pub(super) mod plot;
pub(super) mod prediction;
pub(super) mod table;
