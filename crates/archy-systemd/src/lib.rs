//! Client of systemd's user manager over D-Bus, and the writer of unit files.
//!
//! [`Manager`] holds one connection, shared by all its clones. One task reads its signals: it
//! hands each job's result to who waits for it, and everything else out as a hint ([`Changes`])
//! that a look is due. Hints are never the truth: ask again after each.
//!
//! [`UnitDir`] writes files so that they are whole or absent after a crash, and
//! [`check_directory`] asks Podman's own generator what it would make of them.

mod change;
mod error;
mod files;
mod generator;
mod job;
mod manager;
mod name;
mod proxy;
mod reload;
mod status;

pub use change::{Change, Changes};
pub use error::SystemdError;
pub use files::{FilesError, UnitDir, delegated_controllers};
pub use generator::{
    FileReport, GENERATORS, GeneratorError, Report, check_directory, check_files, find_generator,
};
pub use job::JobResult;
pub use manager::{DEFAULT_DEADLINE, KillWhom, Manager, UnitSummary};
pub use name::{unit_from_path, unit_path};
pub use status::{ActiveState, SystemState, UnitStatus, UnitUsage};
