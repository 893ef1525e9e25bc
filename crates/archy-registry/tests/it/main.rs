//! Registries from outside: made, served, attacked, read by another implementation.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod attacks;
mod life;
mod server;
mod stand;
