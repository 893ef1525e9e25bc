//! `archy registry verify`.

use std::path::Path;

use archy_fetch::{Fetcher, system_tls};
use archy_registry::{Client, DirTransport, HttpTransport, Known, Transport};
use archy_types::Digest;
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::CommandError;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Directory of the registry, its public directory, or its address
    #[arg(value_name = "DIR|URL")]
    target: String,
    /// The fingerprint that the publisher tells; without it only what follows from itself is checked
    #[arg(long, value_name = "sha256:…")]
    fingerprint: Option<Digest>,
    /// Fetch and check every file that is offered
    #[arg(long)]
    full: bool,
}

/// Largest file that is fetched.
const MAX_FILE: u64 = 32 * 1024 * 1024;

/// Runs it.
pub(crate) async fn run(context: &Context, args: &Args) -> Result<(), CommandError> {
    let transport = transport(&args.target);
    let transport = transport.as_ref();
    let memory = tempfile::tempdir().map_err(|error| {
        let text = format!("No temporary directory: {error}.");
        CommandError::new(crate::error::Kind::Failed, "registry-io", text)
    })?;
    let client = Client::new(memory.path().join("registry"));
    let fingerprint = match args.fingerprint {
        Some(fingerprint) => fingerprint,
        None => {
            context.ui.warn("no fingerprint was given to compare with");
            Client::look(transport).await.map_err(super::failed)?.fingerprint
        }
    };
    client.trust(transport, fingerprint).await.map_err(super::failed)?;
    let known = client.refresh(transport, super::now()).await.map_err(super::failed)?.known();
    let mut files = 0;
    if args.full {
        let parts = known.parts.iter().map(|part| &part.targets);
        for name in std::iter::once(&known.targets).chain(parts).flat_map(|it| it.targets.keys()) {
            client.target(transport, &known, name, MAX_FILE).await.map_err(super::failed)?;
            files += 1;
        }
    }
    report(context, &known, args.full.then_some(files))
}

fn transport(target: &str) -> Box<dyn Transport> {
    if target.starts_with("http://") || target.starts_with("https://") {
        let agent = concat!("archy/", env!("CARGO_PKG_VERSION"));
        return Box::new(HttpTransport::new(Fetcher::new(system_tls(), agent), target));
    }
    let public = Path::new(target).join("public");
    let dir = if public.is_dir() { public } else { target.into() };
    Box::new(DirTransport::new(dir))
}

fn report(context: &Context, known: &Known, files: Option<usize>) -> Result<(), CommandError> {
    let roles: Vec<(String, u64, usize)> = known
        .catalogs
        .iter()
        .map(|catalog| {
            let document: Value = serde_json::from_slice(&catalog.text).unwrap_or_default();
            let apps = document
                .get("apps")
                .and_then(Value::as_object)
                .map_or(0, |apps| apps.keys().filter(|app| catalog.may_offer(app)).count());
            let file = format!("{}.json", catalog.role);
            let version = known.snapshot.meta.get(&file).map_or(0, |meta| meta.version);
            (catalog.role.clone(), version, apps)
        })
        .collect();
    let (role, until) = known.good_until();
    let rows: Vec<_> = roles
        .iter()
        .map(|(role, version, apps)| json!({"role": role, "version": version, "apps": apps}))
        .collect();
    let value = json!({
        "fingerprint": known.fingerprint,
        "root": known.root.version,
        "timestamp": known.timestamp.version,
        "catalogs": rows,
        "good_until": until,
        "first_to_expire": role,
        "files": files,
    });
    context.ui.result(&value, |_| {
        let mut out = format!(
            "Good until {until} ({role}).\nRoot version {}: {}\n",
            known.root.version, known.fingerprint
        );
        for (role, version, apps) in &roles {
            out.push_str(&format!("{role} version {version}: {apps} apps\n"));
        }
        if let Some(files) = files {
            out.push_str(&format!("{files} files checked\n"));
        }
        out
    })
}
