//! `archy registry init`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use archy_registry::project::{Days, Founders, Settings};
use archy_registry::{PrivateKey, Project};
use serde_json::json;

use crate::context::Context;
use crate::error::{CommandError, Kind};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Directory of the registry
    dir: PathBuf,
    /// Name for people
    #[arg(long, default_value = "Apps")]
    name: String,
    /// A key of the root, `.pub` or private; give several for several keepers
    #[arg(long = "root-key", value_name = "FILE")]
    root: Vec<PathBuf>,
    /// Signatures that a root needs
    #[arg(long, value_name = "N", default_value_t = 1)]
    root_threshold: u32,
    /// A key that signs the lists of apps
    #[arg(long = "targets-key", value_name = "FILE")]
    targets: Vec<PathBuf>,
    /// A key that signs snapshot and timestamp, on the machine that publishes
    #[arg(long = "online-key", value_name = "FILE")]
    online: Vec<PathBuf>,
    /// Days that a root, a list of apps, a snapshot and a timestamp are good
    #[arg(long, value_name = "ROOT,TARGETS,SNAPSHOT,TIMESTAMP", value_parser = days)]
    days: Option<Days>,
}

fn days(text: &str) -> Result<Days, String> {
    let numbers: Result<Vec<u32>, _> = text.split(',').map(str::parse).collect();
    match numbers.as_deref() {
        Ok(&[root, targets, snapshot, timestamp])
            if [root, targets, snapshot, timestamp].iter().all(|it| (1..=3650).contains(it)) =>
        {
            Ok(Days { root, targets, snapshot, timestamp })
        }
        _ => Err("four numbers from 1 to 3650, like 730,365,30,30".to_owned()),
    }
}

/// Runs it.
pub(crate) fn run(context: &Context, args: &Args) -> Result<(), CommandError> {
    if Project::open(&args.dir).is_ok() {
        let text = format!("{} is a registry already.", args.dir.display());
        return Err(CommandError::new(Kind::Refused, "registry-project", text));
    }
    let mut keys = BTreeMap::new();
    let mut made = Vec::new();
    for (role, given) in
        [("root", &args.root), ("targets", &args.targets), ("online", &args.online)]
    {
        let public = if given.is_empty() {
            let path = args.dir.join("keys").join(format!("{role}.key"));
            made.push(path.clone());
            vec![make(&path)?]
        } else {
            super::public_keys(given)?
        };
        keys.insert(role, public);
    }
    let of = |role: &str| keys.get(role).cloned().unwrap_or_default();
    let roles =
        [("root", "root"), ("targets", "targets"), ("snapshot", "online"), ("timestamp", "online")];
    let founders = Founders {
        keys: roles.iter().map(|(role, keys)| ((*role).to_owned(), of(keys))).collect(),
        thresholds: [("root".to_owned(), args.root_threshold)].into(),
    };
    let settings = Settings { name: args.name.clone(), days: args.days.unwrap_or_default() };
    let project =
        Project::init(&args.dir, settings, &founders, super::now()).map_err(super::failed)?;
    let waiting = project.waiting().map_err(super::failed)?;
    context.ui.result(&json!({"dir": args.dir, "keys": made, "waiting": waiting}), |_| {
        let dir = args.dir.display();
        let mut out = format!("{dir} is a registry now.\n");
        for key in &made {
            out.push_str(&format!("Made the key {}; keep a copy elsewhere.\n", key.display()));
        }
        out.push_str(&format!(
            "Next: `archy registry add {dir} APP…`, `sign {dir} --key …`, `publish {dir} --key …`."
        ));
        out
    })
}

fn make(path: &std::path::Path) -> Result<archy_registry::schema::Key, CommandError> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(|error| {
            let text = format!("{} cannot be made: {error}.", dir.display());
            CommandError::new(Kind::Failed, "registry-io", text)
        })?;
    }
    PrivateKey::create(path).map(|key| key.public().clone()).map_err(super::failed)
}
