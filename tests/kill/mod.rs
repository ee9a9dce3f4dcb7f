//! Kills the real program at random moments, and checks that it loses nothing that it acknowledged. Starves it, too.
//!
//! `KILL_ROUNDS` sets how many rounds there are (default 50) and `KILL_SEED` repeats the random choices of another run. With
//! `KILL_POWER=1` each kill is a power cut, too, of a disk that is mounted for it: that takes root, loop devices and Python.

mod datasets;
mod descriptors;
mod disk;
mod load;
mod maintenance;
mod operations;
mod process;
mod rounds;
mod stopping;
