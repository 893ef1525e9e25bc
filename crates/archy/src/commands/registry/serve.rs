//! `archy registry serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use archy_registry::{Project, serve};
use serde_json::json;
use tokio::net::TcpListener;

use crate::context::Context;
use crate::error::{CommandError, Kind};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Directory of the registry
    dir: PathBuf,
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8700")]
    listen: SocketAddr,
}

/// Runs it, until it is interrupted.
pub(crate) async fn run(context: &Context, args: &Args) -> Result<(), CommandError> {
    let project = Project::open(&args.dir).map_err(super::failed)?;
    let failed = |error: std::io::Error| {
        let text = format!("{} cannot be served: {error}.", args.listen);
        CommandError::new(Kind::Failed, "registry-listen", text)
    };
    let listener = TcpListener::bind(args.listen).await.map_err(failed)?;
    let address = format!("http://{}", listener.local_addr().map_err(failed)?);
    context.ui.item(&json!({"address": address}), |_| {
        format!("{} is served at {address}; end it with Ctrl-C.", project.settings().name)
    })?;
    tokio::select! {
        ended = serve::serve(listener, project.public()) => ended.map_err(failed),
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}
