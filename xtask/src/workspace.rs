//! Where the checkout is, and how its programs are built.
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cache::Cache;
use crate::sh::{self, Cmd};

/// How long a build may take on a slow machine.
const BUILD_LIMIT: Duration = Duration::from_secs(45 * 60);

/// How programs are compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Fast to build.
    Dev,
    /// Fast to run.
    Release,
}

impl Profile {
    const fn directory(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }
}

/// Root of the checkout that this program was built from.
pub fn root() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest)
}

/// Where cargo puts what it builds: `CARGO_TARGET_DIR`, else a directory of the cache, so that a fresh
/// checkout builds on what the last one built.
///
/// # Errors
/// There is no place for the cache.
pub fn target_dir() -> anyhow::Result<PathBuf> {
    match sh::env("CARGO_TARGET_DIR") {
        Some(dir) => Ok(PathBuf::from(dir)),
        None => Ok(Cache::locate()?.dir("target")?),
    }
}

/// A cargo command in the checkout.
///
/// # Errors
/// There is no place for what it builds.
pub fn cargo(args: &[&str]) -> anyhow::Result<Cmd> {
    let cargo = sh::env("CARGO").unwrap_or_else(|| "cargo".to_owned());
    Ok(Cmd::new(cargo)
        .args(args)
        .env("CARGO_TARGET_DIR", target_dir()?)
        .dir(root())
        .limit(BUILD_LIMIT))
}

/// Programs that are installed on a node.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The daemon.
    pub daemon: PathBuf,
    /// The command line.
    pub cli: PathBuf,
    /// The health probe, linked statically since it runs inside any image.
    pub health: PathBuf,
}

/// Builds the programs, the dashboard inside the daemon first.
///
/// # Errors
/// The compiler's.
pub fn programs(profile: Profile) -> anyhow::Result<Programs> {
    crate::web::build()?;
    let mut args = vec!["build", "--locked", "-p", "archipelago", "-p", "archy"];
    if profile == Profile::Release {
        args.push("--release");
    }
    sh::step("building the daemon and the command line", || cargo(&args)?.attached_ok())?;
    let dir = target_dir()?.join(profile.directory());
    Ok(Programs {
        daemon: dir.join("archipelago"),
        cli: dir.join("archy"),
        health: health_probe()?,
    })
}

fn health_probe() -> anyhow::Result<PathBuf> {
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    // a directory of its own: it never waits for another build
    let dir = target_dir()?.join("health");
    let args = ["build", "--locked", "--release", "-p", "archy-health", "--target", &triple];
    sh::step("building the health probe", || {
        cargo(&args)?
            .env("RUSTFLAGS", "-C target-feature=+crt-static")
            .env("CARGO_TARGET_DIR", &dir)
            .attached_ok()
    })?;
    Ok(dir.join(&triple).join("release/archy-health"))
}

/// What the tasks of this module add to a command.
pub trait AttachedOk {
    /// Runs it with its output on the terminal; a failure is an error.
    ///
    /// # Errors
    /// It cannot be run, or it fails.
    fn attached_ok(&self) -> anyhow::Result<()>;
}

impl AttachedOk for Cmd {
    fn attached_ok(&self) -> anyhow::Result<()> {
        let status = self.attached()?;
        anyhow::ensure!(status.success(), "`{self}` failed ({status})");
        Ok(())
    }
}
