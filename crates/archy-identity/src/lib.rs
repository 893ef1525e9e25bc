//! Identities, the recovery seed, and the Nostr signer: local keys and linked signers.
//!
//! | Module | What is there |
//! |---|---|
//! | [`seed`] | 24 words and the keys that derive from them |
//! | [`keeper`] | the seed at rest |
//! | [`did`] | Ed25519 keys as `did:key` |
//! | [`store`] | identities in files, secrets sealed |
//! | [`event`], [`cipher`] | Nostr events and messages with a local key |
//! | [`uri`], [`relay`], [`nip46`] | linked signers over relays |
//! | [`signer`] | signs for an identity, whoever holds its key |
//! | [`login`] | login with a linked signer, as values |
//! | [`nip07`] | `window.nostr` in apps' pages: consent, messages, the script |
//! | [`relays`] | the node's list of relays |
//!
//! Directories, the clock and the trust in authorities are arguments; nothing is read from the
//! environment.

#![warn(missing_docs)]

pub mod cipher;
pub mod did;
pub mod event;
mod files;
pub mod keeper;
pub mod login;
pub mod nip07;
pub mod nip46;
pub mod random;
pub mod record;
pub mod relay;
pub mod relays;
pub mod seal;
pub mod seed;
pub mod signer;
pub mod store;
pub mod uri;

pub use keeper::{SeedKeeper, Standing};
pub use record::{LinkedSigner, Origin, Purpose};
pub use seed::Seed;
pub use signer::Signer;
pub use store::{Dirs, Identities, Identity, Verified};
