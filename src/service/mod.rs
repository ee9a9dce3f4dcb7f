//! From the wire to the domain and back.

pub mod status;
