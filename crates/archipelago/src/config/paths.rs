//! Every path that the daemon uses; each can be set, none is fixed in code.

use std::path::{Path, PathBuf};

use super::source::{ConfigError, Sources};
use super::{Mode, User};

/// Where Debian's podman package puts the generator.
const GENERATOR: &str = "/usr/lib/systemd/user-generators/podman-user-generator";

/// Where scripts of earlier platforms hand over manifests, below the dashboard's files.
const HANDED: &str = "archipelago-runtime/apps";

/// Where things are. All paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// Data of apps and of the node: `/var/lib/archipelago`.
    pub data_dir: PathBuf,
    /// The database and copies of manifests.
    pub state_dir: PathBuf,
    /// Secret files (mode 0600, directory 0700).
    pub secrets_dir: PathBuf,
    /// Directories with `<id>/manifest.yml`; a later one wins: what came with the platform, what
    /// scripts of earlier platforms handed over, and the owner's own sideload directory, which no
    /// update touches.
    pub apps_dirs: Vec<PathBuf>,
    /// The user's Quadlet directory.
    pub quadlet_dir: PathBuf,
    /// The user's runtime directory: `/run/user/<uid>`.
    pub runtime_dir: PathBuf,
    /// Podman's API socket.
    pub podman_socket: PathBuf,
    /// D-Bus address of the user's bus.
    pub bus_address: String,
    /// The daemon's own socket.
    pub rpc_socket: PathBuf,
    /// The node's certificate: `archipelago.crt`, `archipelago.key`, perhaps `ca.crt`.
    pub ssl_dir: PathBuf,
    /// The dashboard's files.
    pub web_dir: PathBuf,
    /// The only directory that `copy_from_host` steps may read.
    pub hook_files_dir: PathBuf,
    /// The `archy-health` binary that is mounted into containers.
    pub health_probe: PathBuf,
    /// Podman's program; used for its user namespace only.
    pub podman_program: PathBuf,
    /// Podman's generator of user units.
    pub generator: PathBuf,
}

impl Paths {
    /// Reads the paths; what is not set follows from the mode and the user.
    ///
    /// # Errors
    /// A path is not absolute, or the user has no home directory.
    pub fn read(sources: &Sources, mode: Mode, user: &User) -> Result<Self, ConfigError> {
        let base = Base::of(sources, mode, user)?;
        let data_dir = sources.path("data_dir")?.unwrap_or(base.data);
        let below = |key, name: &str| Ok(sources.path(key)?.unwrap_or_else(|| data_dir.join(name)));
        let or = |key, default: PathBuf| Ok(sources.path(key)?.unwrap_or(default));
        let runtime_dir = or("runtime_dir", base.runtime)?;
        let podman_socket = or("podman_socket", runtime_dir.join("podman/podman.sock"))?;
        let bus_address = sources
            .text("bus_address")
            .or_else(|| sources.environment("DBUS_SESSION_BUS_ADDRESS").map(str::to_owned))
            .unwrap_or_else(|| format!("unix:path={}", runtime_dir.join("bus").display()));
        let rpc_socket = match (sources.path("rpc_socket")?, mode) {
            (Some(path), _) => path,
            (None, Mode::Node) => PathBuf::from("/run/archipelago/archipelago.sock"),
            (None, Mode::User) => runtime_dir.join("archipelago/archipelago.sock"),
        };
        let state_dir = match sources.path("state_dir")? {
            Some(path) => path,
            None => base.state.unwrap_or_else(|| data_dir.join("state")),
        };
        let web_dir = or("web_dir", PathBuf::from("/opt/archipelago/web-ui"))?;
        let apps = base.apps.unwrap_or_else(|| data_dir.join("apps"));
        let apps_dirs =
            vec![or("apps_dir", apps)?, web_dir.join(HANDED), below("sideload_dir", "sideload")?];
        Ok(Self {
            secrets_dir: below("secrets_dir", "secrets")?,
            quadlet_dir: or("quadlet_dir", base.config_home.join("containers/systemd"))?,
            ssl_dir: or("ssl_dir", base.config.join("ssl"))?,
            web_dir,
            hook_files_dir: or("hook_files_dir", PathBuf::from("/opt/archipelago"))?,
            health_probe: or("health_probe", beside(&user.executable))?,
            podman_program: or("podman_program", PathBuf::from("/usr/bin/podman"))?,
            generator: or("generator", PathBuf::from(GENERATOR))?,
            data_dir,
            state_dir,
            apps_dirs,
            runtime_dir,
            podman_socket,
            bus_address,
            rpc_socket,
        })
    }

    /// Names below the data directory that belong to the platform, so that no app may have them
    /// as its id.
    #[must_use]
    pub fn is_reserved_name(name: &str) -> bool {
        matches!(
            name,
            "apps"
                | "config"
                | "containers"
                | "data"
                | "identities"
                | "identity"
                | "logs"
                | "secrets"
                | "settings"
                | "sideload"
                | "snapshots"
                | "ssl"
                | "state"
        )
    }
}

/// The configuration file that is read when none is named.
///
/// # Errors
/// The user has no home directory.
pub(super) fn default_file(
    sources: &Sources,
    mode: Mode,
    user: &User,
) -> Result<PathBuf, ConfigError> {
    Ok(Base::of(sources, mode, user)?.config.join("config.toml"))
}

/// The probe's place: next to the daemon where it is, else where the package puts it.
fn beside(executable: &Path) -> PathBuf {
    let near = executable.with_file_name("archy-health");
    if near.exists() { near } else { PathBuf::from("/usr/libexec/archipelago/archy-health") }
}

/// Directories that the others follow from.
struct Base {
    data: PathBuf,
    state: Option<PathBuf>,
    apps: Option<PathBuf>,
    config: PathBuf,
    config_home: PathBuf,
    runtime: PathBuf,
}

impl Base {
    fn of(sources: &Sources, mode: Mode, user: &User) -> Result<Self, ConfigError> {
        let home = sources
            .environment("HOME")
            .map(PathBuf::from)
            .or_else(|| user.home.clone())
            .filter(|path| path.is_absolute())
            .ok_or(ConfigError::Missing { what: "the home directory", how: "HOME" })?;
        // the XDG rule: a variable that is not absolute counts as not set
        let xdg = |name: &str, below: &str| {
            sources
                .environment(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
                .unwrap_or_else(|| home.join(below))
        };
        let runtime = sources
            .environment("XDG_RUNTIME_DIR")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
            .unwrap_or_else(|| PathBuf::from(format!("/run/user/{}", user.uid)));
        let config_home = xdg("XDG_CONFIG_HOME", ".config");
        Ok(match mode {
            Mode::Node => Self {
                data: PathBuf::from("/var/lib/archipelago"),
                state: None,
                apps: Some(PathBuf::from("/opt/archipelago/apps")),
                config: PathBuf::from("/etc/archipelago"),
                config_home,
                runtime,
            },
            Mode::User => Self {
                data: xdg("XDG_DATA_HOME", ".local/share").join("archipelago"),
                state: Some(xdg("XDG_STATE_HOME", ".local/state").join("archipelago")),
                apps: None,
                config: config_home.join("archipelago"),
                config_home,
                runtime,
            },
        })
    }
}
