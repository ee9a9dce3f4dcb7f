//! A service that behaves as the run id says, a server around it, and clients that see every header.

mod client;
mod echo;
mod running;

pub use client::{
    Answer, Connection, PREDICT, TRAIN, call, channel, frame, predict, predict_as, send, train,
    unfinished, whole,
};
pub use echo::LARGE;
pub use running::{Running, config, hasher};
