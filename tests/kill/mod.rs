//! Kills the real program at random moments, and checks that it loses nothing that it acknowledged.
//!
//! `KILL_ROUNDS` sets how many rounds there are (default 50) and `KILL_SEED` repeats the random choices of another run.

mod datasets;
mod load;
mod process;
mod rounds;
mod stopping;
