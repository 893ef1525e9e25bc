//! A whole daemon in the test's process: real TLS, real store, real sockets, a fake engine.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    reason = "helpers of tests fail by panicking, and are shared between this binary's modules"
)]

#[allow(dead_code, reason = "this signer can do more than is asked of it here")]
#[path = "../../../archy-identity/tests/it/bunker.rs"]
mod bunker;
#[allow(dead_code, reason = "this relay can do more than is asked of it here")]
#[path = "../../../archy-identity/tests/it/relay.rs"]
mod relay;

mod access;
mod attention;
mod auth;
mod doctor;
mod door;
mod host;
mod identity;
mod limits;
mod node;
mod packages;
mod registry;
mod security;
mod state;
mod users;
