//! The daemon: configuration, adapters glued to the engine, and the server in front of it.
//!
//! A library with a thin `main`, so that tests run a whole daemon in their own process on a fake
//! engine. `config` says where things are; `host` and `ledger` implement the engine's ports with
//! the adapters; `sources` is what the server asks of the host beside the engine; `net` accepts,
//! `web` routes, `dashboard` is the page, `rpc` checks and dispatches, `state` publishes, `auth` knows who is who.

pub mod app;
pub mod app_gate;
pub mod auth;
pub mod catalog;
pub mod clock;
pub mod config;
pub mod connect;
pub mod daemon;
pub mod dashboard;
pub mod doctor;
pub mod forget;
pub mod guard;
pub mod host;
pub mod identity;
pub mod images;
pub mod ledger;
pub mod lifecycle;
pub mod logging;
pub mod logs;
pub mod metrics;
pub mod net;
pub mod notify;
pub mod pictures;
pub mod recovery;
pub mod registry;
pub mod rpc;
pub mod sources;
pub mod state;
pub mod support;
pub mod survey;
pub mod system;
pub mod web;

pub use daemon::Daemon;
pub use sources::Backends;
