//! `<hostname>.local` in the local network: where Avahi runs, it publishes the host's name and we add the
//! node's page to it; elsewhere we answer ourselves, on interfaces that lead to a network.

mod avahi;

use std::sync::Arc;
use std::time::Duration;

use mdns_sd::{IfKind, ServiceDaemon, ServiceInfo};
use nix::net::if_::InterfaceFlags;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::TaskTracker;

use crate::app::App;
use avahi::Avahi;

/// Names, interfaces and Avahi are looked at this often.
const PERIOD: Duration = Duration::from_secs(20);
/// Port of multicast DNS (RFC 6762).
const PORT: u16 = 5353;
/// What the page is found under (RFC 6763).
const SERVICE: &str = "_https._tcp";
/// Beginnings of names of interfaces that lead to containers and tunnels, not to the owner's network.
const INNER: &[&str] =
    &["br-", "cni", "docker", "lxc", "podman", "tap", "tun", "veth", "virbr", "vnet", "wg", "zt"];

/// What is published.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    /// The host's name, one label.
    host: String,
    /// The node's name for people.
    title: String,
    /// Port of its page.
    port: u16,
    /// Interfaces that we answer on when we answer ourselves.
    interfaces: Vec<String>,
}

/// Who publishes it.
#[derive(Debug)]
enum Publisher {
    Avahi(Avahi),
    Own(Responder),
}

/// Publishes until the daemon stops, unless the configuration says not to.
pub fn spawn(app: &Arc<App>, tasks: &TaskTracker) {
    if !app.config.listen.mdns {
        return;
    }
    let app = app.clone();
    tasks.spawn(async move {
        let mut timer = interval(PERIOD);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut now: Option<(Wanted, Publisher)> = None;
        loop {
            tokio::select! {
                () = app.stop.cancelled() => break,
                _ = timer.tick() => now = turn(wanted(&app), now).await,
            }
        }
        if let Some((_, Publisher::Own(responder))) = now {
            responder.end();
        }
    });
}

fn wanted(app: &App) -> Option<Wanted> {
    let hostname = super::hostname();
    let host = hostname.split('.').next().unwrap_or_default();
    if archy_types::id::check_dns_label(host).is_err() || host == "localhost" {
        return None;
    }
    let own_ports = app.own_ports.read().unwrap_or_else(std::sync::PoisonError::into_inner);
    let chosen = &app.config.listen.mdns_interfaces;
    Some(Wanted {
        host: host.to_owned(),
        title: app.hub.name(),
        port: own_ports.first().copied().unwrap_or(443),
        interfaces: if chosen.is_empty() { interfaces() } else { chosen.clone() },
    })
}

/// Brings what is published to what is wanted.
async fn turn(
    wanted: Option<Wanted>,
    now: Option<(Wanted, Publisher)>,
) -> Option<(Wanted, Publisher)> {
    let avahi = Avahi::find().await;
    if let (Some(wanted), Some((published, publisher))) = (&wanted, &now)
        && wanted == published
        && match publisher {
            Publisher::Avahi(one) => avahi.is_some() && one.stands().await,
            // two responders of one name confuse each other: Avahi goes first
            Publisher::Own(_) => avahi.is_none(),
        }
    {
        return now;
    }
    match now {
        Some((_, Publisher::Own(responder))) => responder.end(),
        Some((_, Publisher::Avahi(avahi))) => avahi.end().await,
        None => {}
    }
    let wanted = wanted?;
    let publisher = match avahi {
        Some(avahi) => match avahi.publish(&wanted.title, SERVICE, wanted.port).await {
            Ok(avahi) => {
                tracing::info!(name = avahi.name(), "Avahi publishes the node's name");
                Publisher::Avahi(avahi)
            }
            Err(error) => {
                tracing::debug!(%error, "Avahi did not take the node's page");
                return None;
            }
        },
        None => match Responder::begin(&wanted, PORT) {
            Ok(responder) => {
                tracing::info!(name = %wanted.host, interfaces = ?wanted.interfaces, "mDNS answers");
                Publisher::Own(responder)
            }
            Err(error) => {
                tracing::debug!(%error, "mDNS cannot answer");
                return None;
            }
        },
    };
    Some((wanted, publisher))
}

/// Our own answers.
struct Responder(ServiceDaemon);

impl std::fmt::Debug for Responder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Responder(…)")
    }
}

impl Responder {
    fn begin(wanted: &Wanted, port: u16) -> Result<Self, mdns_sd::Error> {
        let daemon = ServiceDaemon::new_with_port(port)?;
        daemon.disable_interface(IfKind::All)?;
        for name in &wanted.interfaces {
            daemon.enable_interface(name.as_str())?;
        }
        let host = format!("{}.local.", wanted.host);
        let kind = format!("{SERVICE}.local.");
        let none: &[(&str, &str)] = &[];
        let service = ServiceInfo::new(&kind, &wanted.title, &host, "", wanted.port, none)?;
        daemon.register(service.enable_addr_auto())?;
        Ok(Self(daemon))
    }

    /// Says good-bye.
    fn end(self) {
        if let Err(error) = self.0.shutdown() {
            tracing::debug!(%error, "mDNS did not end");
        }
    }
}

/// Interfaces that lead to a network of the owner's.
fn interfaces() -> Vec<String> {
    let all = nix::ifaddrs::getifaddrs().into_iter().flatten();
    let mut names: Vec<String> = all
        .filter(|one| leads_out(&one.interface_name, one.flags))
        .map(|one| one.interface_name)
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn leads_out(name: &str, flags: InterfaceFlags) -> bool {
    flags.contains(InterfaceFlags::IFF_UP | InterfaceFlags::IFF_MULTICAST)
        && !flags.intersects(InterfaceFlags::IFF_LOOPBACK | InterfaceFlags::IFF_POINTOPOINT)
        && !INNER.iter().any(|inner| name.starts_with(inner))
}

#[cfg(test)]
mod tests;
