//! Configuration: defaults < file < environment < flags, each part parsed by its own struct.
//!
//! The file is `/etc/archipelago/config.toml` on a node and
//! `$XDG_CONFIG_HOME/archipelago/config.toml` for a desktop user. A key `some_key` is the variable
//! `ARCHIPELAGO_SOME_KEY`; an empty variable counts as not set.

mod flags;
mod parts;
mod paths;
mod source;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

pub use flags::Flags;
pub use parts::{Keeping, Listen, Logging, Naming, public_name};
pub use paths::Paths;
pub use source::{ConfigError, Sources};

/// Which directories the daemon lives in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A node: `/etc/archipelago`, `/var/lib/archipelago`, `/run/archipelago`.
    Node,
    /// A desktop user: the XDG directories.
    User,
}

impl std::str::FromStr for Mode {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "node" => Ok(Self::Node),
            "user" => Ok(Self::User),
            _ => Err(()),
        }
    }
}

/// Who runs the daemon, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Numeric id.
    pub uid: u32,
    /// Login name.
    pub name: String,
    /// Home directory in the user database.
    pub home: Option<PathBuf>,
    /// Path of the running binary.
    pub executable: PathBuf,
}

impl User {
    /// The user of this process.
    #[must_use]
    pub fn current() -> Self {
        let uid = rustix::process::geteuid();
        let entry =
            nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid.as_raw())).ok().flatten();
        Self {
            uid: uid.as_raw(),
            name: entry.as_ref().map_or_else(|| uid.as_raw().to_string(), |e| e.name.clone()),
            home: entry.map(|entry| entry.dir),
            executable: std::env::current_exe().unwrap_or_default(),
        }
    }
}

/// The whole configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Node or desktop.
    pub mode: Mode,
    /// Where things are.
    pub paths: Paths,
    /// Where it listens.
    pub listen: Listen,
    /// Names and addresses.
    pub naming: Naming,
    /// Logging.
    pub logging: Logging,
    /// How long an update can be taken back, and its snapshot is kept.
    pub keep_snapshots: Duration,
    /// How much the store remembers of what is over.
    pub keeping: Keeping,
    /// The daemon's own user id.
    pub uid: u32,
    /// The file that was read or looked for.
    pub file: PathBuf,
    /// What the owner should know about the configuration; logged at the start.
    pub warnings: Vec<String>,
}

impl Config {
    /// Reads the configuration. `file` is the one named by a flag; it must exist then.
    ///
    /// # Errors
    /// A file cannot be read or a value does not fit.
    pub fn read(
        mut sources: Sources,
        file: Option<PathBuf>,
        user: &User,
    ) -> Result<Self, ConfigError> {
        let named = file.or(sources.path("config")?);
        let mode = sources.parse("mode", "`node` or `user`")?.unwrap_or_else(|| {
            // the packaged service runs as this user
            if user.name == "archipelago" { Mode::Node } else { Mode::User }
        });
        let path = match &named {
            Some(path) => path.clone(),
            None => paths::default_file(&sources, mode, user)?,
        };
        sources.read_file(&path, named.is_some())?;
        let mut warnings = Vec::new();
        let paths = Paths::read(&sources, mode, user)?;
        let listen = Listen::read(&sources, mode)?;
        let naming = Naming::read(&sources, &mut warnings)?;
        let logging = Logging::read(&sources)?;
        let days = sources.parse("keep_snapshots_days", "a number of days")?;
        let keep_snapshots = Duration::from_secs(u64::from(days.unwrap_or(7_u16)) * 86_400);
        let keeping = Keeping::read(&sources)?;
        parts::read_legacy(&sources, &mut warnings)?;
        warnings.extend(sources.unknown());
        Ok(Self {
            mode,
            paths,
            listen,
            naming,
            logging,
            keep_snapshots,
            keeping,
            uid: user.uid,
            file: path,
            warnings,
        })
    }
}
