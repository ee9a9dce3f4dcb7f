//! Everything measured.
