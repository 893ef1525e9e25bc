//! Signed catalogs of apps: repositories as TUF (The Update Framework, specification 1.0) has them.
//!
//! *A node* confirms a registry once by a fingerprint ([`Client::trust`]), and asks it for news
//! ([`Client::refresh`]); what does not follow from the trusted root is refused and the last good
//! catalog stays. [`trust`] has the rules, over bytes alone; [`Transport`] brings files.
//!
//! *A publisher* has a [`Project`]: apps are added, files signed (also on a machine without a
//! network), and published to a directory that any static server serves ([`serve`]).
//!
//! Signatures are checked with ring, like TLS: the libraries for TUF that exist bring a second
//! backend and switch it on for rustls in the whole workspace. What this crate writes and reads is
//! held against Python's reference implementation by its tests.

pub mod canon;
pub mod client;
pub mod error;
mod files;
pub mod keys;
pub mod known;
pub mod names;
pub mod project;
pub mod schema;
pub mod serve;
pub mod signed;
pub mod store;
pub mod transport;
pub mod trust;

pub use client::{Client, Identity, Patience, Refreshed};
pub use error::RegistryError;
pub use keys::PrivateKey;
pub use known::{Known, RoleCatalog};
pub use project::Project;
pub use schema::Moment;
pub use signed::Envelope;
pub use transport::{DirTransport, Got, HttpTransport, Transport, Want};
