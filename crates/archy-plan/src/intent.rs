//! Why a plan is made.

/// Why a plan is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Intent {
    /// To heal drift; leaves alone what was stopped from outside or has used up its restarts.
    Converge,
    /// The owner asked for a start: also starts what failed or was stopped from outside.
    Start,
    /// The owner asked for a restart: stops and starts every container.
    Restart,
    /// The owner asked for an install: checks more, and runs the hooks of an install.
    Install,
    /// As an install, of an app that is there in another version.
    Update,
    /// As a start, of the version before an update that is taken back.
    Rollback,
}

impl Intent {
    /// The owner asked for an app's manifest to be put in place.
    #[must_use]
    pub const fn installs(self) -> bool {
        matches!(self, Self::Install | Self::Update)
    }
}
