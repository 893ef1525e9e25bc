//! The binary as people run it: help texts, offline commands, and commands against a fake daemon.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod commands;
mod detach;
mod diagnosis;
mod fake;
mod help;
mod imports;
mod manifests;
mod registry;
mod run;
