//! A whole daemon in the test's process: real TLS, real store, real sockets, a fake engine.

mod access;
mod auth;
mod limits;
mod node;
mod packages;
mod state;
