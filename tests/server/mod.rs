//! The server around the handlers, on real sockets, with a small service of its own.
#![allow(unreachable_pub, missing_docs)]

mod auth;
mod connections;
mod drain;
mod failures;
mod limits;
mod outlive;
mod protocols;
mod reasons;
mod requests;
mod support;
mod unread;
