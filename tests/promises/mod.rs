//! What the service promises, put to the test on the real program: `docs/reliability.md` says which test keeps which promise.
//!
//! Each is short here and can be made long by a variable of the environment.

mod cells;
mod clock;
mod generated;
mod messages;
mod program;
mod raw;
mod secrets;
mod sockets;
