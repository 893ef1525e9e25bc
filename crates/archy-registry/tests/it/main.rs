//! Registries from outside: made, served, attacked, read by another implementation.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test"
)]

mod attacks;
mod life;
mod python;
mod server;
mod stand;
