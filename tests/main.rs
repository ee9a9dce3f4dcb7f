//! Tests of the server from outside. They are one program, because each program would link the
//! whole server again.

mod architecture;
mod golden;
mod grpc;
mod kill;
mod promises;
mod server;
mod settings;
mod store;
