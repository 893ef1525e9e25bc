//! Tests on a real node: systemd, rootless Podman, the Debian package, real software.
//!
//! `cargo xtask test` runs them. Each test has a node of its own, removed at its end
//! (`ARCHY_KEEP_NODES=1` keeps it for a look).

mod http;
pub mod leftovers;
pub mod rounds;
mod stand;
pub mod vm;

pub use http::{Answer, get, request};
pub use stand::{Stand, deb};
