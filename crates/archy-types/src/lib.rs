//! Words the whole project shares: ids, digests, secrets that do not print, states, errors with codes.
//!
//! Ring 0: no IO, no async, no clock, no randomness.

pub mod digest;
pub mod doctor;
pub mod durable;
pub mod error;
pub mod id;
pub mod redact;
pub mod secret;
pub mod state;
pub mod time;
pub mod version;

pub use digest::Digest;
pub use error::{Code, UserError};
pub use id::{AppId, Generation, IdError, OperationId, ServiceName};
pub use redact::Redactor;
pub use secret::{Secret, SecretKind};
pub use state::{Actor, AppState, Cause, Health, NextStep, Repair, StatusReport};
pub use time::Timestamp;
pub use version::PodmanVersion;
