//! What `archy app test` and `archy gate` share: the node, the apps, the key.

use std::path::{Path, PathBuf};

use archy_api::NoParams;
use archy_api::method::SystemInfo;
use archy_client::Client;
use archy_gate::document::{Document, Key, Payload};
use archy_gate::gate::GateError;
use archy_gate::node::{Call, Chosen, Local, Node as _, Program, ServiceUser, must};
use archy_gate::own_test::OwnTest;
use archy_gate::phase::Capability;
use archy_gate::report::Format;
use archy_gate::spec::AppSpec;

use crate::context::Context;
use crate::error::{CommandError, Kind};
use crate::manifest_file;

/// The driver that `--node` alone means.
const DRIVER: &str = "cargo xtask node";
/// Largest file of a package that is taken to a node.
const LARGEST: u64 = 64 << 20;

/// Which node.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Node")]
pub(crate) struct NodeArgs {
    /// Name of the node as the driver knows it; without --node and --driver it is this machine
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// Program with its first arguments that reaches the node: it has the verbs exec, reboot, power-cut and boot
    /// [default with --node: cargo xtask node]
    #[arg(long, value_name = "PROGRAM ARGS")]
    driver: Option<String>,
    /// What the driver must not be asked for
    #[arg(long, value_enum, value_delimiter = ',', value_name = "LIST")]
    without: Vec<Without>,
    /// Socket of the node's daemon, where it can be reached from here; else the driver connects to it
    #[arg(long, value_name = "PATH")]
    daemon: Option<PathBuf>,
    /// Test apps that are on the node already; they stay
    #[arg(long)]
    pub(crate) existing: bool,
    /// How many apps are worked on at once
    #[arg(long, default_value_t = 4, value_name = "N")]
    pub(crate) parallel: usize,
}

/// What can be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Without {
    /// Restarts of the daemon
    DaemonRestart,
    /// Reboots
    Reboot,
    /// Power cuts
    PowerCut,
}

impl From<Without> for Capability {
    fn from(without: Without) -> Self {
        match without {
            Without::DaemonRestart => Self::DaemonRestart,
            Without::Reboot => Self::Reboot,
            Without::PowerCut => Self::PowerCut,
        }
    }
}

/// The form of a result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum FormatArg {
    /// For people
    #[default]
    Table,
    /// The signed document
    Json,
    /// JUnit's XML
    Junit,
    /// Test Anything Protocol
    Tap,
}

impl From<FormatArg> for Format {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Table => Self::Table,
            FormatArg::Json => Self::Json,
            FormatArg::Junit => Self::Junit,
            FormatArg::Tap => Self::Tap,
        }
    }
}

/// The node of the arguments.
pub(crate) async fn node(context: &Context, args: &NodeArgs) -> Result<Chosen, CommandError> {
    let words = args.driver.as_deref().or(args.node.as_ref().map(|_| DRIVER));
    let Some(words) = words else {
        let socket = args.daemon.clone().unwrap_or_else(|| context.socket.clone());
        let info = Client::unix(&socket).call::<SystemInfo>(NoParams {}).await?;
        let user = ServiceUser {
            name: info.user.name,
            uid: info.user.uid,
            own_uid: context.environment.uid.unwrap_or(u32::MAX),
            node_mode: info.node_mode,
        };
        return Ok(Chosen::Local(Local::new(socket, user)));
    };
    let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
    if words.is_empty() {
        return Err(CommandError::new(Kind::Usage, "gate-driver", "The driver is no program."));
    }
    let without = args.without.iter().copied().map(Capability::from).collect();
    let node = Program::new(words, args.node.clone(), without)
        .map_err(|error| CommandError::new(Kind::Failed, "gate-node-away", error.to_string()))?;
    Ok(Chosen::Program(match &args.daemon {
        Some(socket) => node.with_client(Client::unix(socket)),
        None => node,
    }))
}

/// An app by its id on the node, or by the path of its manifest or directory.
pub(crate) async fn spec(target: &str, node: &Chosen) -> Result<AppSpec, CommandError> {
    if manifest_file::is_path(target) {
        of_path(Path::new(target))
    } else {
        of_id(target, node).await
    }
}

/// Manifests of all directories below one.
pub(crate) fn all_under(directory: &Path) -> Result<Vec<AppSpec>, CommandError> {
    let unreadable = |error: std::io::Error| {
        let message = format!("{} cannot be read: {error}.", directory.display());
        CommandError::new(Kind::NotFound, "directory-unreadable", message)
    };
    let entries = std::fs::read_dir(directory).map_err(unreadable)?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.join("manifest.yml").is_file());
    paths.sort();
    paths.iter().map(|path| of_path(path)).collect()
}

fn of_path(path: &Path) -> Result<AppSpec, CommandError> {
    let file = manifest_file::read(path)?;
    file.valid()?;
    let directory = file.package_dir()?;
    let read = |name: &str| std::fs::read(directory.join(name)).ok();
    let own = own_test(read("gate.yml").as_deref(), &directory.display().to_string())?;
    let next = match &own.next {
        None => None,
        Some(name) => Some(manifest_file::read(&directory.join(name))?.text()),
    };
    let mut spec = made(AppSpec::new(file.text(), own, next))?;
    if spec.needs_files() {
        collect(&directory, &directory, &mut spec.files)?;
    }
    Ok(spec)
}

async fn of_id(id: &str, node: &Chosen) -> Result<AppSpec, CommandError> {
    let away = |error: archy_gate::node::NodeError| {
        CommandError::new(Kind::Failed, "gate-node-away", error.to_string())
    };
    let info = node.client().call::<SystemInfo>(NoParams {}).await?;
    let places = [
        format!("/opt/archipelago/apps/{id}"),
        format!("{}/apps/{id}", info.data_dir),
        format!("{}/sideload/{id}", info.data_dir),
    ];
    for place in places {
        let read = async |name: &str| {
            node.exec(Call::user(["cat", "--", &format!("{place}/{name}")])).await.map_err(away)
        };
        let manifest = read("manifest.yml").await?;
        if !manifest.ok() {
            continue;
        }
        let own = read("gate.yml").await?;
        let own = own_test(own.ok().then_some(own.stdout.as_bytes()), &place)?;
        let next = match &own.next {
            None => None,
            Some(name) => {
                let path = format!("{place}/{name}");
                Some(must(node, Call::user(["cat", "--", &path])).await.map_err(away)?.stdout)
            }
        };
        let mut spec = made(AppSpec::new(manifest.stdout, own, next))?;
        spec.directory = Some(place);
        return Ok(spec);
    }
    Err(CommandError::new(
        Kind::NotFound,
        "manifest-not-found",
        format!("The node has no manifest of {id}."),
    )
    .hint("Give the path of a manifest instead."))
}

fn own_test(text: Option<&[u8]>, place: &str) -> Result<OwnTest, CommandError> {
    text.map_or_else(|| Ok(OwnTest::default()), OwnTest::parse).map_err(|error| {
        let message = format!("{place}/gate.yml is not valid: {error}.");
        CommandError::new(Kind::Refused, "gate-test-invalid", message)
    })
}

fn made(spec: Result<AppSpec, archy_gate::spec::SpecError>) -> Result<AppSpec, CommandError> {
    spec.map_err(|error| CommandError::new(Kind::Refused, "manifest-invalid", format!("{error}.")))
}

/// Files of a package; links are not followed.
fn collect(
    root: &Path,
    directory: &Path,
    files: &mut Vec<(String, Vec<u8>)>,
) -> Result<(), CommandError> {
    let failed = |error: std::io::Error| {
        let message = format!("{} cannot be read: {error}.", directory.display());
        CommandError::new(Kind::Failed, "package-dir-invalid", message)
    };
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let kind = entry.file_type().map_err(failed)?;
        let path = entry.path();
        if kind.is_dir() {
            collect(root, &path, files)?;
        } else if kind.is_file() && entry.metadata().map_err(failed)?.len() <= LARGEST {
            let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            files.push((name, std::fs::read(&path).map_err(failed)?));
        }
    }
    Ok(())
}

/// Signs results with the tester's key.
pub(crate) fn sign(
    context: &Context,
    payloads: Vec<Payload>,
) -> Result<Vec<Document>, CommandError> {
    let home = context.environment.data_home.as_ref().ok_or_else(|| {
        CommandError::new(Kind::Failed, "gate-key", "There is no place for the tester's key.")
            .hint("Set HOME or XDG_DATA_HOME.")
    })?;
    let key = Key::open(&home.join("archipelago/gate/tester.key")).map_err(document_error)?;
    payloads.into_iter().map(|payload| key.sign(payload).map_err(document_error)).collect()
}

pub(crate) fn document_error(error: archy_gate::document::DocumentError) -> CommandError {
    let message = format!("{error}.");
    CommandError::new(Kind::Failed, error.code(), message).hint(error.hint())
}

pub(crate) fn gate_error(error: GateError) -> CommandError {
    let kind = if matches!(error, GateError::Refused(_)) { Kind::Refused } else { Kind::Failed };
    CommandError::new(kind, error.code(), format!("{error}.")).hint(error.hint())
}

/// Writes a file whole.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), CommandError> {
    let part = path.with_extension("part");
    let write = || {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&part, text)?;
        std::fs::rename(&part, path)
    };
    write().map_err(|error| {
        let message = format!("{} cannot be written: {error}.", path.display());
        CommandError::new(Kind::Failed, "output", message)
    })
}

/// Documents in one form.
pub(crate) fn form(format: Format, documents: &[Document]) -> Result<String, CommandError> {
    format
        .write(documents)
        .map_err(|error| CommandError::new(Kind::Failed, "json", format!("Cannot write: {error}.")))
}
