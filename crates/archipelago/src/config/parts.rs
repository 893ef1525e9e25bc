//! The parts of the configuration that are not paths: one struct per component.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use super::Mode;
use super::source::{ConfigError, Sources};

/// Where the daemon listens, when systemd hands over no sockets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// Address for HTTPS and HTTP.
    pub bind_host: IpAddr,
    /// Port for HTTPS; 0 means any free one; absent means none.
    pub https_port: Option<u16>,
    /// Port for plain HTTP, which redirects to HTTPS; absent means none.
    pub http_port: Option<u16>,
    /// The app gate stands before apps' ports on the node's addresses.
    pub app_gate: bool,
    /// `<hostname>.local` is published in the local network.
    pub mdns: bool,
    /// Interfaces that it is published on; empty: those that lead to a network.
    pub mdns_interfaces: Vec<String>,
}

impl Listen {
    /// Reads `bind_host`, `bind_port`, `http_port`, `app_gate`, `mdns` and `mdns_interfaces`.
    ///
    /// # Errors
    /// A value is no address or port.
    pub fn read(sources: &Sources, mode: Mode) -> Result<Self, ConfigError> {
        let any = match mode {
            Mode::Node => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            Mode::User => IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        let shift = sources.parse("port_offset", "a number of ports to add")?.unwrap_or(0_u16);
        let port = sources.parse("bind_port", "a port number")?.unwrap_or(8443_u16);
        let bind_host = sources.parse("bind_host", "an IP address")?.unwrap_or(any);
        let interfaces = sources.text("mdns_interfaces").unwrap_or_default();
        let interfaces = interfaces.split(',').map(str::trim).filter(|name| !name.is_empty());
        Ok(Self {
            bind_host,
            // a name that leads nowhere is not published
            mdns: sources.switch("mdns")?.unwrap_or(mode == Mode::Node && !bind_host.is_loopback()),
            mdns_interfaces: interfaces.map(str::to_owned).collect(),
            // a node that only this machine reaches has no gate to the network
            app_gate: sources.switch("app_gate")?.unwrap_or(!bind_host.is_loopback()),
            https_port: (sources.switch("https")? != Some(false))
                .then(|| if port == 0 { 0 } else { port.saturating_add(shift) }),
            http_port: sources.parse("http_port", "a port number")?,
        })
    }
}

/// What the node calls itself, and what the outside calls it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Naming {
    /// Primary IPv4 address; observed when absent.
    pub host_ip: Option<Ipv4Addr>,
    /// Public DNS name.
    pub public_host: Option<String>,
    /// App that a template names for a role while no provider of it is installed.
    pub role_defaults: BTreeMap<String, String>,
    /// Certificate for the public name.
    pub public_pair: Option<(PathBuf, PathBuf)>,
    /// Origins on loopback may call sensitive methods.
    pub dev_mode: bool,
}

impl Naming {
    /// Reads `host_ip`, `public_host`, `public_cert`, `public_key` and `dev_mode`. A bad public
    /// name is left out with a warning.
    ///
    /// # Errors
    /// A value is of the wrong kind.
    pub fn read(sources: &Sources, warnings: &mut Vec<String>) -> Result<Self, ConfigError> {
        let public_host = sources.text("public_host").and_then(|text| {
            let name = public_name(&text);
            if name.is_none() {
                warnings.push(format!(
                    "`public_host` {text:?} is no public DNS name and is ignored; write a name \
                     such as node.example.org, without scheme, port or path"
                ));
            }
            name
        });
        let pair = match (sources.path("public_cert")?, sources.path("public_key")?) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            _ => {
                warnings.push(
                    "`public_cert` and `public_key` belong together; one alone is ignored".into(),
                );
                None
            }
        };
        if pair.is_some() && public_host.is_none() {
            warnings.push("`public_cert` has no use without `public_host`".into());
        }
        Ok(Self {
            host_ip: sources.parse("host_ip", "an IPv4 address")?,
            public_host,
            role_defaults: role_defaults(sources, warnings),
            public_pair: pair,
            dev_mode: sources.switch("dev_mode")?.unwrap_or(false),
        })
    }
}

/// Reads `role_defaults`: `role=app`, separated by commas.
fn role_defaults(sources: &Sources, warnings: &mut Vec<String>) -> BTreeMap<String, String> {
    let text = sources.text("role_defaults").unwrap_or_default();
    let mut defaults = BTreeMap::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        match part.split_once('=') {
            Some((role, app)) if archy_types::AppId::new(app.trim()).is_ok() => {
                defaults.insert(role.trim().to_owned(), app.trim().to_owned());
            }
            _ => warnings.push(format!(
                "`role_defaults`: {part:?} is ignored; write role=app, separated by commas"
            )),
        }
    }
    defaults
}

/// A public DNS name in its plain form, or nothing when the text is none.
#[must_use]
pub fn public_name(text: &str) -> Option<String> {
    let lower = text.trim().to_ascii_lowercase();
    let name = lower.strip_suffix('.').unwrap_or(&lower);
    let labels: Vec<_> = name.split('.').collect();
    let label_ok = |label: &&str| archy_types::id::check_dns_label(label).is_ok();
    let numeric = labels.last()?.chars().all(|c| c.is_ascii_digit());
    (name.len() <= 253 && labels.len() >= 2 && !numeric && labels.iter().all(label_ok))
        .then(|| name.to_owned())
}

/// What is logged, and where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logging {
    /// Filter in `tracing` syntax, for example `info` or `archy_engine=debug,info`.
    pub filter: String,
}

impl Logging {
    /// Reads `log_level`.
    ///
    /// # Errors
    /// It is no filter.
    pub fn read(sources: &Sources) -> Result<Self, ConfigError> {
        let expected = "a level (error, warn, info, debug, trace) or a filter";
        let filter: Option<tracing_subscriber::filter::Targets> =
            sources.parse("log_level", expected)?;
        let text = filter.map_or_else(|| "info".to_owned(), |filter| filter.to_string());
        Ok(Self { filter: text })
    }
}

/// How much the store remembers of what is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keeping {
    /// Operations of each app.
    pub operations: usize,
    /// Events of the node.
    pub events: usize,
    /// How long a manifest is kept whose app is not installed and has no data.
    pub manifests: Duration,
}

impl Keeping {
    /// Reads `keep_operations`, `keep_events` and `keep_manifests_days`.
    ///
    /// # Errors
    /// A value is no number.
    pub fn read(sources: &Sources) -> Result<Self, ConfigError> {
        let operations: Option<u32> = sources.parse("keep_operations", "a number of operations")?;
        let events: Option<u32> = sources.parse("keep_events", "a number of events")?;
        let days: Option<u16> = sources.parse("keep_manifests_days", "a number of days")?;
        let count = |given: Option<u32>, least: u32, default: u32| {
            usize::try_from(given.unwrap_or(default).max(least)).unwrap_or(usize::MAX)
        };
        Ok(Self {
            // the last one tells how an app came to be as it is
            operations: count(operations, 1, 200),
            events: count(events, 0, 10_000),
            manifests: Duration::from_secs(u64::from(days.unwrap_or(90)) * 86_400),
        })
    }
}

/// Keys of older nodes that have no meaning here; they are accepted in silence when they ask for
/// what is so anyway, else with a warning.
pub(super) fn read_legacy(
    sources: &Sources,
    warnings: &mut Vec<String>,
) -> Result<(), ConfigError> {
    if let Some(runtime) = sources.text("container_runtime")
        && !runtime.eq_ignore_ascii_case("podman")
    {
        warnings.push(format!("`container_runtime` {runtime:?} is ignored: podman is used"));
    }
    if sources.switch("use_quadlet_backends")? == Some(false) {
        warnings.push("`use_quadlet_backends = false` is ignored: Quadlet is always used".into());
    }
    for key in ["bitcoin_simulation", "dev_data_dir", "nostr_tor_proxy", "swarm_enabled"] {
        if sources.text(key).is_some() {
            warnings.push(format!("`{key}` has no effect in this version"));
        }
    }
    Ok(())
}
