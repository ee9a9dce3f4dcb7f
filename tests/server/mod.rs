//! The server around the handlers, on real sockets, with a small service of its own.
#![allow(unreachable_pub, missing_docs)]

mod auth;
mod drain;
mod failures;
mod requests;
mod support;
