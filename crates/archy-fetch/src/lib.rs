//! HTTP with limits: deadlines, sizes, redirects, digests.
//!
//! [`Fetcher`] gets what lies on the network; nothing it returns was checked unless a digest was
//! asked for. [`local`] talks to ports of this host: readiness probes and hooks.

mod connection;
pub mod error;
pub mod fetcher;
pub mod local;
mod url;

pub use error::FetchError;
pub use fetcher::{Fetched, Fetcher, Limits, system_tls, tls_config, tls_config_of};
pub use local::{LocalAnswer, LocalRequest, get_json, request};
