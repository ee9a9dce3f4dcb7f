//! What operators see of the server: its logs and the ids of its requests.

pub mod logs;
mod request_id;

pub use request_id::RequestId;
