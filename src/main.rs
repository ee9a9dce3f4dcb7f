//! anomalyd
fn main() {}
