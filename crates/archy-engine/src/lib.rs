//! The reconciling engine: observe, plan, execute, publish.
//!
//! Ring 2: sees the host only through the traits of [`ports`], which the daemon implements with
//! the adapters and tests with a fake host. One task owns all state ([`task`]); what can wake it
//! is one closed enum ([`event`]).

mod accept;
mod adopt;
mod cancel;
mod endings;
mod event;
mod execute;
mod fresh;
pub mod handle;
mod hooks;
pub mod leap;
mod operation;
mod pass;
pub mod ports;
mod publish;
mod ready;
mod render;
mod request;
mod soak;
pub mod status;
mod task;
mod transaction;
mod worker;

pub use cancel::CANCELLED;
pub use handle::{Accepted, Cancel, Handle, Replacement, Request, RequestKind};
pub use operation::OperationKind;
pub use status::{AdoptedView, AppView, OperationView, ServiceView, Snapshot};
pub use task::{Engine, Tuning, start};
