//! Containers that Archipelago did not make, and how an app takes them over.
//!
//! * [`wanted`] says which containers of a node matter to a manifest, by name and labels.
//! * [`find`] matches them with the manifest's services, or says why they do not fit.
//! * [`ready_to_migrate`] works out what a migration moves; [`differences`] names what it changes.
//! * The steps themselves are planned by `order::adopted`, the state by [`verdict`].
//!
//! An adopted app is *watched* until its owner agrees to the migration: it is started and stopped
//! through what it was made by, and nothing of it is ever made anew.

mod differences;
mod facts;
mod find;
mod inspect;
mod migrate;
mod phase;
mod record;
mod verdict;

pub(crate) use differences::differences;
pub use facts::{Copied, Foreign, ForeignContainer};
pub use find::{Candidate, candidate, find, wanted};
pub use inspect::{Inspected, LegacyMount, LegacyPort};
pub use migrate::ready_to_migrate;
pub(crate) use phase::{LegacyPhase, file_in_place, in_place, phase, runs};
pub use record::{
    Adopted, AdoptedPart, DataMove, DataPlace, MIGRATION, Origin, SecretSource, Stage, TakenSecret,
    aside_name,
};
pub(crate) use verdict::assess;
