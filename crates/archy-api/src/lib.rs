//! The wire: JSON-RPC methods, their types, their errors, and the documents made from them.
//!
//! Types only; no business logic and no IO. The daemon, the clients and the dashboard share this
//! crate alone. Conventions: parameters and results are in `snake_case`, the state document below
//! `server.get-state` is in `kebab-case`, times are milliseconds since 1970, sizes are bytes.
//! Ids travel as plain strings; the daemon checks them.

#![warn(missing_docs)]

pub mod access;
pub mod auth;
pub mod container;
pub mod doctor;
pub mod document;
pub mod door;
pub mod errors;
pub mod explain;
pub mod gate;
pub mod health;
pub mod hidden;
pub mod identity;
pub mod logs;
pub mod method;
pub mod metrics;
pub mod node;
pub mod notify;
pub mod package;
pub mod paths;
pub mod registry;
pub mod rpc;
pub mod server;
pub mod signer;
pub mod state;
pub mod subscribe;
pub mod system;
pub mod users;

pub use access::{Access, OriginRule, RateLimit, Role};
pub use errors::{ERRORS, ErrorInfo};
pub use hidden::Hidden;
pub use method::{METHODS, Method, MethodInfo, find};
pub use rpc::{ErrorData, ErrorObject, NoParams, Request, Response};
