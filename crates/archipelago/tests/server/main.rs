//! A whole daemon in the test's process: real TLS, real store, real sockets, a fake engine.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    reason = "helpers of tests fail by panicking, and are shared between this binary's modules"
)]

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
mod state;
mod users;
