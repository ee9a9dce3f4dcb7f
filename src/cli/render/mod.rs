//! What commands show: tables and plots for people, JSON for programs.

pub(super) mod json;
pub(super) mod model;
pub(super) mod plot;
pub(super) mod prediction;
pub(super) mod table;
