//! `cargo xtask node`: the command line over test nodes.
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{Node, NodeError, Options, READY_LIMIT, Who, ensure_base, preflight, vm};
use crate::cache::Cache;
use crate::sh::{self, Cmd, step};

/// Makes, boots, asks and removes test nodes.
#[derive(Debug, Args)]
pub struct NodeArgs {
    #[command(subcommand)]
    action: Action,
}

/// Which node is meant.
#[derive(Debug, Args)]
struct Named {
    /// Name of the node.
    #[arg(long, default_value = "dev")]
    name: String,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Build the base root file system all nodes are copied from.
    Build,
    /// Make a node, off.
    Create {
        #[command(flatten)]
        named: Named,
        /// Without the service user, as a stock machine for the installer.
        #[arg(long)]
        stock: bool,
    },
    /// Boot a node, made when missing, and wait until it is ready.
    Boot(Named),
    /// Reboot a node in good order and wait until it is ready.
    Reboot(Named),
    /// Cut a node's power: all its processes are gone at once.
    PowerCut(Named),
    /// Run a command in a node, as the service user or as root.
    Exec {
        #[command(flatten)]
        named: Named,
        /// Run it as root.
        #[arg(long)]
        root: bool,
        /// The command and its arguments.
        #[arg(trailing_var_arg = true, required = true, allow_hyphen_values = true)]
        argv: Vec<String>,
    },
    /// Show a node's journal, of a running node or of one that is off.
    Logs {
        #[command(flatten)]
        named: Named,
        /// Go on showing what comes.
        #[arg(long, short)]
        follow: bool,
        /// Show what the supervisor and the early boot said instead.
        #[arg(long)]
        console: bool,
    },
    /// Power a node off in good order.
    Stop(Named),
    /// Remove a node and every trace of it.
    Destroy {
        #[command(flatten)]
        named: Named,
        /// Remove all nodes of this cache.
        #[arg(long, conflicts_with = "name")]
        all: bool,
    },
    /// List the nodes.
    List,
    /// Print a node's address.
    Ip(Named),
    /// Boot the same root file system under a real kernel in software emulation.
    Vm(vm::VmArgs),
}

/// Runs one `node` command.
///
/// # Errors
/// Those of the command.
pub fn run(args: NodeArgs) -> Result<ExitCode, NodeError> {
    let cache = Cache::locate()?;
    match args.action {
        Action::Build => build(&cache)?,
        Action::Create { named, stock } => {
            let options = Options { service_user: !stock, owner: None };
            let node = create(&cache, &named.name, options)?;
            sh::print(&node.root_path().display().to_string());
        }
        Action::Boot(named) => boot(&cache, &named.name)?,
        Action::Reboot(named) => {
            let node = Node::open_in(&cache, &named.name)?;
            step(&format!("reboot {}", named.name), || {
                node.reboot()?;
                node.wait_ready(READY_LIMIT)
            })?;
        }
        Action::PowerCut(named) => Node::open_in(&cache, &named.name)?.power_cut()?,
        Action::Exec { named, root, argv } => {
            let who = if root { Who::Root } else { Who::User };
            let node = Node::open_in(&cache, &named.name)?;
            return Ok(exit_code(node.command(who, argv, None)?.attached()?));
        }
        Action::Logs { named, follow, console } => {
            return logs(&Node::open_in(&cache, &named.name)?, follow, console);
        }
        Action::Stop(named) => {
            let node = Node::open_in(&cache, &named.name)?;
            step(&format!("power off {}", named.name), || node.power_off())?;
        }
        Action::Destroy { named, all } => destroy(&cache, &named.name, all)?,
        Action::List => list(&cache)?,
        Action::Ip(named) => sh::print(&Node::open_in(&cache, &named.name)?.ip()),
        Action::Vm(args) => return vm::run(&cache, &args),
    }
    Ok(ExitCode::SUCCESS)
}

fn build(cache: &Cache) -> Result<(), NodeError> {
    preflight::check(cache)?;
    sh::print(&ensure_base(cache)?.display().to_string());
    Ok(())
}

fn create(cache: &Cache, name: &str, options: Options) -> Result<Node, NodeError> {
    preflight::check(cache)?;
    ensure_base(cache)?;
    step(&format!("make the node {name}"), || Node::create_with(cache, name, options))
}

fn boot(cache: &Cache, name: &str) -> Result<(), NodeError> {
    let node = match Node::open_in(cache, name) {
        Err(NodeError::Unknown { .. }) => create(cache, name, Options::default())?,
        other => other?,
    };
    step(&format!("boot {name}"), || {
        node.boot()?;
        node.wait_ready(READY_LIMIT)
    })?;
    sh::print(&node.ip());
    Ok(())
}

fn destroy(cache: &Cache, name: &str, all: bool) -> Result<(), NodeError> {
    let nodes = if all { Node::list(cache)? } else { vec![Node::open_in(cache, name)?] };
    for node in nodes {
        step(&format!("remove the node {}", node.name()), || node.destroy())?;
    }
    Ok(())
}

fn list(cache: &Cache) -> Result<(), NodeError> {
    for node in Node::list(cache)? {
        let state = if node.is_running() { "running" } else { "off" };
        let root = node.root_path();
        sh::print(&format!("{:<20} {:<14} {state:<8} {}", node.name(), node.ip(), root.display()));
    }
    Ok(())
}

fn logs(node: &Node, follow: bool, console: bool) -> Result<ExitCode, NodeError> {
    if console {
        sh::print(node.console_log().trim_end());
        return Ok(ExitCode::SUCCESS);
    }
    let argv = if follow { vec!["journalctl", "-f"] } else { vec!["journalctl", "--no-pager"] };
    let cmd = if node.is_running() {
        node.command(Who::Root, argv, None)?
    } else {
        Cmd::new("chroot").arg(node.root_path()).args(["journalctl", "--no-pager", "--merge"])
    };
    Ok(exit_code(cmd.attached()?))
}

fn exit_code(status: std::process::ExitStatus) -> ExitCode {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}
