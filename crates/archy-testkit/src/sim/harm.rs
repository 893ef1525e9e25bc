//! What can go wrong in a simulation, and where.

/// What a boundary belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A write of the journal or of desired state.
    Journal,
    /// A write to the disk: unit files, files of apps, secrets.
    File,
    /// A request to Podman.
    Podman,
    /// A job of systemd.
    Job,
    /// Everything else, for example a look at the host.
    Other,
}

/// Where in a call the boundary lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Nothing has happened yet.
    Before,
    /// It was asked for or written, but is not yet done or on the disk.
    Amid,
    /// It has happened; the caller has not heard of it.
    After,
}

/// Something that goes wrong at one boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Harm {
    /// The daemon is killed. What it wrote stays; systemd goes on with its jobs.
    Kill,
    /// The host loses its power: what was not synced is lost, nothing runs any more.
    PowerCut,
    /// From here on nothing can be written, until somebody frees space.
    DiskFull,
    /// From here on Podman does not answer, until it is started again.
    PodmanHung,
    /// Podman refuses this request.
    PodmanError,
    /// systemd reports that this job failed.
    JobFailed,
}

impl Harm {
    /// All kinds.
    pub const ALL: [Self; 6] = [
        Self::Kill,
        Self::PowerCut,
        Self::DiskFull,
        Self::PodmanHung,
        Self::PodmanError,
        Self::JobFailed,
    ];

    /// The word in a replay command.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::PowerCut => "power-cut",
            Self::DiskFull => "disk-full",
            Self::PodmanHung => "podman-hung",
            Self::PodmanError => "podman-error",
            Self::JobFailed => "job-failed",
        }
    }

    /// True when the engine has to go on by itself afterwards, without the owner's help.
    #[must_use]
    pub const fn is_crash(self) -> bool {
        matches!(self, Self::Kill | Self::PowerCut)
    }

    /// True when it can happen at such a boundary.
    #[must_use]
    pub fn hits(self, class: Class, moment: Moment) -> bool {
        match self {
            Self::Kill | Self::PowerCut => true,
            Self::DiskFull => {
                moment == Moment::Before && matches!(class, Class::Journal | Class::File)
            }
            Self::PodmanHung | Self::PodmanError => {
                moment == Moment::Before && class == Class::Podman
            }
            Self::JobFailed => moment == Moment::Before && class == Class::Job,
        }
    }
}
