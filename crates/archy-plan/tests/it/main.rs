//! The planner against a modelled world, and tables of checks and states.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail like tests"
)]

mod adopt;
mod apps;
mod assess;
mod cases;
mod checks;
mod damage;
mod depends;
mod graces;
mod property;
mod rebuild;
mod templates;
mod updates;
mod world;
