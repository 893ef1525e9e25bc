//! Podman's version, as the unit renderer needs it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Version of Podman on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PodmanVersion {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Patch number.
    pub patch: u32,
}

impl PodmanVersion {
    /// The oldest Podman that the project supports.
    pub const FLOOR: Self = Self { major: 5, minor: 4, patch: 0 };
}

impl fmt::Display for PodmanVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl std::str::FromStr for PodmanVersion {
    type Err = semver::Error;
    /// Reads `5.4.2`, also with a suffix such as `5.5.0-rc1`.
    fn from_str(text: &str) -> Result<Self, semver::Error> {
        let version = semver::Version::parse(text.trim())?;
        let part = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        Ok(Self {
            major: part(version.major),
            minor: part(version.minor),
            patch: part(version.patch),
        })
    }
}
