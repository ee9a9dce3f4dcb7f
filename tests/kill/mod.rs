//! The real program on a real folder, killed at random moments: it loses nothing that it acknowledged.
//!
//! `KILL_ROUNDS` sets how many rounds there are (default 50) and `KILL_SEED` repeats the random choices of another run.

mod datasets;
mod load;
mod process;
mod rounds;
mod stopping;
