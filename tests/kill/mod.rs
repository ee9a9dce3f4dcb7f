//! Kills the real program at random moments, and checks that it loses nothing that it acknowledged. Starves it, too.
//!
//! `KILL_ROUNDS` sets how many rounds there are (default 50) and `KILL_SEED` repeats the random choices of another run.

mod datasets;
mod descriptors;
mod load;
mod maintenance;
mod operations;
mod process;
mod rounds;
mod stopping;
