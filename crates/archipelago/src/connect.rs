//! Puts the engine onto this machine's podman, systemd and store.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use archy_engine::ports::Clock;
use archy_engine::{Tuning, start};
use archy_store::Store;
use archy_types::{Timestamp, UserError};
use tokio::task::JoinHandle;

use crate::app_gate::Standing;
use crate::clock;
use crate::config::Config;
use crate::guard::Doubt;
use crate::host::{HostConfig, SystemHost};
use crate::identity::IdentityDesk;
use crate::ledger::StoreLedger;
use crate::sources::Backends;

/// The wall clock, for the engine.
#[derive(Debug, Clone, Copy)]
pub struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        clock::now()
    }
}

/// Makes the directories that must be there before anything works in them.
///
/// # Errors
/// `directory-unusable`: one cannot be made.
pub fn prepare(config: &Config) -> Result<(), UserError> {
    let paths = &config.paths;
    let own = paths.apps_dirs.last().into_iter();
    for dir in [&paths.data_dir, &paths.quadlet_dir].into_iter().chain(own) {
        make(dir, 0o755)?;
    }
    // containers' logs outlive the containers; nobody else's business
    make(&archy_quadlet::log_dir(&paths.data_dir), 0o700)
}

fn make(dir: &Path, mode: u32) -> Result<(), UserError> {
    std::fs::DirBuilder::new().recursive(true).mode(mode).create(dir).map_err(|error| {
        let message = format!("{} cannot be made: {error}.", dir.display());
        UserError::new("directory-unusable", message)
            .hint("The service user must own it or its parent.")
    })
}

/// Connects the adapters and starts the engine. Neither podman nor systemd need answer yet.
///
/// # Errors
/// The secrets' directory or the store cannot be used.
pub async fn connect(
    config: &Config,
    store: Store,
) -> Result<(Backends, JoinHandle<()>), UserError> {
    let doubt = Arc::new(Doubt::default());
    let standing = Standing::default();
    let host = SystemHost::new(host_config(config))?;
    let identity = tokio::task::block_in_place(|| IdentityDesk::open(&config.paths.data_dir));
    let host = host.doubting(doubt.clone()).gated(standing.clone()).identified(identity.clone());
    let hints = host.watch();
    let ledger = Arc::new(StoreLedger::new(store));
    let tuning = Tuning { keep_previous: config.keep_snapshots, ..Tuning::default() };
    let (engine, run) =
        start(Arc::new(host.clone()), ledger, Arc::new(WallClock), hints, tuning).await?;
    let last_pass = run.last_pass();
    let running = tokio::spawn(run.run());
    let host = Arc::new(host);
    let backends = Backends {
        engine,
        logs: host.clone(),
        exec: host.clone(),
        system: host.clone(),
        survey: host,
        last_pass,
        doubt,
        standing,
        identity,
    };
    Ok((backends, running))
}

/// Where things are on this host.
pub(crate) fn host_config(config: &Config) -> HostConfig {
    let paths = config.paths.clone();
    HostConfig {
        data_dir: paths.data_dir,
        secrets_dir: paths.secrets_dir,
        quadlet_dir: paths.quadlet_dir,
        podman_socket: paths.podman_socket,
        bus_address: paths.bus_address,
        podman_program: paths.podman_program,
        generator: paths.generator,
        runtime_dir: paths.runtime_dir,
        user_cgroup: user_cgroup(config.uid),
        health_probe: paths.health_probe,
        hook_files_dir: paths.hook_files_dir,
        host_ip: config.naming.host_ip,
        public_host: config.naming.public_host.clone(),
        role_defaults: config.naming.role_defaults.clone(),
        keep_snapshots: config.keep_snapshots,
    }
}

/// Cgroup of a user's manager.
pub(crate) fn user_cgroup(uid: u32) -> PathBuf {
    PathBuf::from(format!("/sys/fs/cgroup/user.slice/user-{uid}.slice/user@{uid}.service"))
}
