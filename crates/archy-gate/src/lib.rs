//! The gate: an app's whole life on a real node, with data written before and found after each phase.
//!
//! [`gate::run`] does it for a set of apps; [`node::Node`] is the narrow port to the node; [`document`] signs and
//! verifies results, [`report`] prints them. Which phases there are stands in [`phase::PHASES`]; what harm a chaos
//! run does, and when, is [`chaos::schedule`], a pure function of its seed.

pub mod canonical;
pub mod chaos;
pub mod document;
pub mod gate;
mod http;
pub mod identity;
pub mod life;
pub mod node;
pub mod outcome;
pub mod own_test;
pub mod phase;
pub mod progress;
pub mod report;
pub mod spec;

/// Milliseconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "the gate is an edge: results say when they were made"
)]
pub(crate) fn now_millis() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.ok().and_then(|since| i64::try_from(since.as_millis()).ok()).unwrap_or_default()
}
