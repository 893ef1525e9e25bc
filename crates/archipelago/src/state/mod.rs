//! The state document: mapped from the engine's snapshots, cached, and streamed as patches.

pub mod hub;
pub mod map;
pub mod socket;

pub use hub::{Catchup, Hub, Published};
