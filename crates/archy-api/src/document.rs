//! Documents made from the method table: OpenRPC, TypeScript, a reference page.
//!
//! Pure functions; the same table gives the same text.

mod openrpc;
mod reference;
mod typescript;

pub use openrpc::openrpc_document;
pub use reference::reference_markdown;
pub use typescript::{TypeScript, typescript};
