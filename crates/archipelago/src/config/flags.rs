//! The command line of the daemon.

use std::path::PathBuf;

use clap::Parser;

/// Archipelago's daemon: installs apps from manifests and keeps them running.
#[derive(Debug, Clone, Default, Parser)]
#[command(name = "archipelago", version, max_term_width = 100)]
pub struct Flags {
    /// Configuration file (default: /etc/archipelago/config.toml on a node, else
    /// ~/.config/archipelago/config.toml)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// `node` for a system service, `user` for a desktop session
    #[arg(long, value_name = "MODE")]
    pub mode: Option<String>,
    /// Directory of the apps' and the node's data
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// Directory of the database
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<String>,
    /// Directory with the catalog's manifests
    #[arg(long, value_name = "DIR")]
    pub apps_dir: Option<String>,
    /// Unix socket for the command line
    #[arg(long, value_name = "SOCKET")]
    pub rpc_socket: Option<String>,
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS")]
    pub bind_host: Option<String>,
    /// Port for HTTPS
    #[arg(long, value_name = "PORT")]
    pub bind_port: Option<String>,
    /// Port for plain HTTP, which redirects to HTTPS
    #[arg(long, value_name = "PORT")]
    pub http_port: Option<String>,
    /// error, warn, info, debug, trace, or a filter
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Any other setting as key=value, as in the configuration file
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
    /// Read the configuration, say what is wrong with it, and end
    #[arg(long)]
    pub check_config: bool,
    /// Build a store that is damaged or lost again, say as JSON what was done, and end
    #[arg(long)]
    pub rebuild_store: bool,
    /// With --rebuild-store: set a store that is whole aside, and build it again
    #[arg(long, requires = "rebuild_store")]
    pub even_if_whole: bool,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write it as key=value")?;
    Ok((key.trim().replace('-', "_"), value.to_owned()))
}

impl Flags {
    /// The flags as settings by key.
    #[must_use]
    pub fn settings(&self) -> Vec<(String, String)> {
        let named = [
            ("mode", &self.mode),
            ("data_dir", &self.data_dir),
            ("state_dir", &self.state_dir),
            ("apps_dir", &self.apps_dir),
            ("rpc_socket", &self.rpc_socket),
            ("bind_host", &self.bind_host),
            ("bind_port", &self.bind_port),
            ("http_port", &self.http_port),
            ("log_level", &self.log_level),
        ];
        let mut out = self.set.clone();
        out.extend(named.into_iter().filter_map(|(key, value)| {
            value.as_ref().map(|value| (key.to_owned(), value.clone()))
        }));
        out
    }
}
