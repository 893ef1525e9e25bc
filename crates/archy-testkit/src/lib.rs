//! Builders and a fake host for tests. Only ever a dev-dependency.

pub mod clock;
pub mod host;
pub mod ledger;
mod legacy;
pub mod model;
pub mod sim;

pub use clock::TestClock;
pub use host::FakeHost;
pub use ledger::MemoryLedger;
pub use model::{Fault, Model};
pub use sim::Sim;
