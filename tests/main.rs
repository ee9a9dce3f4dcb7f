//! The server from outside. One program, since each would be linked with all of the server anew.

mod architecture;
mod grpc;
mod kill;
mod server;
mod store;
