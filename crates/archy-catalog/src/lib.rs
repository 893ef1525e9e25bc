//! The set of known manifests, merged from its sources.
//!
//! Ring 0: sources are read elsewhere; here they become one [`Catalog`] in which every app has one
//! winning offer, and every other offer of it is listed with the reason why it did not win.
//! [`document::parse`] reads the catalog document that several apps share.

pub mod document;
pub mod merge;
mod order;
mod search;

pub use document::{CatalogDocument, DocumentError, Finding, Reason};
pub use merge::{Catalog, Entry, Listing, Offer, ShadowReason, Shadowed, Source};
pub use order::compare_versions;
