//! The app gate: a reverse proxy in front of apps' ports.
//!
//! A container publishes a gated port on loopback; the gate takes the same number on the node's other
//! addresses. One port takes TLS and plain HTTP: the first byte decides (RFC 8446, section 5.1: a
//! handshake begins with 22). Whoever has a session of the dashboard is let through to the app; others
//! get 401, and people a page to log in on the same port, so that they come back to where they were.
//!
//! Bodies are streams in both directions: a request of any size takes the same little memory.

mod answer;
mod challenge;
mod connection;
mod counted;
mod forward;
mod gate;
mod headers;
mod origin;
mod page;
mod patience;
mod policy;
mod rule;
mod slots;
mod sound;
mod splice;
mod upstream;

pub use gate::{Gate, Limits, Listening};
pub use headers::Names;
pub use page::PROVIDER;
pub use patience::Patient;
pub use rule::{Access, Doorkeeper, Login, Nostr, Page, Rule, Secret, Typed, Visitor, Who};
pub use slots::{Slot, Slots};
