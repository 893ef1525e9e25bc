//! Durable state of a node in SQLite: desired state, journal, history, sessions, settings.
//!
//! One writer thread and a few reader threads own the connections; the async methods of [`Store`]
//! send them jobs and wait on a oneshot, so no caller ever blocks on the disk. Every write is
//! committed (WAL, `synchronous=FULL`) before its method returns. Times are given by callers.
//!
//! Beside the database lie a copy of it that was whole when it was made (`state.last-good.db`) and
//! a copy of every installed manifest and of what its app should be (`manifests/<id>.yml`, `.json`),
//! for a node whose store is lost.
//! Secrets are never in the store: they are files, see [`files::SecretStore`].

pub mod apps;
pub mod copies;
mod db;
pub mod error;
pub mod events;
pub mod files;
pub mod journal;
mod previous;
mod rows;
pub mod sessions;
pub mod settings;
mod store;

pub use apps::{AppRecord, Desired};
pub use copies::{KeptCopy, kept_copies};
pub use error::StoreError;
pub use events::{EventRecord, NewEvent};
pub use journal::{NewOperation, Operation, Phase, Step, StepResult, StepState};
pub use previous::{PreviousRecord, Replaced};
pub use sessions::Session;
pub use store::{Options, Store, is_there, set_aside, try_write};
