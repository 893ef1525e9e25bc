//! The app gate at work: stands before the gated and open ports of the apps that are installed, on every
//! address of the node but loopback, where the apps themselves listen.

mod exceptions;
mod frames;
mod keeper;
mod rules;
mod status;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use archy_api::paths::{CSRF_COOKIE, REMEMBER_COOKIE, SESSION_COOKIE};
use archy_proxy::{Gate, Limits, Listening, Names};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::net::{self, certs::Certs};
use exceptions::Kept;
pub use keeper::Keeper;

pub use status::{set_access, status};

/// Cookies of the dashboard: no app ever sees them.
pub const COOKIES: Names = Names(&[SESSION_COOKIE, CSRF_COOKIE, REMEMBER_COOKIE]);
/// The node's addresses are looked at this often: they come and go with networks.
const ADDRESSES: Duration = Duration::from_secs(10);

/// Where the gate stands. Clones share it: a look at the host must not take the gate's own sockets for
/// somebody else's.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    ports: Arc<RwLock<BTreeMap<u16, Listening>>>,
    exceptions: Arc<Kept>,
}

impl Standing {
    /// Ports and where each is guarded.
    #[must_use]
    pub fn ports(&self) -> BTreeMap<u16, Listening> {
        self.ports.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The sockets that are the gate's.
    #[must_use]
    pub fn sockets(&self) -> BTreeSet<SocketAddr> {
        let ports = self.ports.read().unwrap_or_else(PoisonError::into_inner);
        ports.values().flat_map(|listening| listening.addresses.iter().copied()).collect()
    }

    /// Notes where it stands; true when that is news.
    fn set(&self, ports: BTreeMap<u16, Listening>) -> bool {
        let mut now = self.ports.write().unwrap_or_else(PoisonError::into_inner);
        let news = *now != ports;
        *now = ports;
        news
    }
}

/// Starts the gate; it follows the apps and the node's addresses until the daemon stops.
pub fn spawn(app: &Arc<App>, certs: Option<&Arc<Certs>>, tasks: &TaskTracker) {
    if !app.config.listen.app_gate {
        return;
    }
    let tls = certs.and_then(|certs| match certs.server_config(&[b"h2", b"http/1.1"]) {
        Ok(config) => Some(config),
        Err(error) => {
            tracing::warn!(%error, "apps' ports are served without TLS");
            None
        }
    });
    let secure = tls.is_some();
    let keeper = Keeper::new(app.clone());
    let (stop, limits) = (app.stop.clone(), Limits::default());
    let mut gate = Gate::new(keeper, COOKIES, limits, tls, stop.clone(), tasks.clone());
    let (app, mut snapshots) = (app.clone(), app.backends.engine.subscribe());
    snapshots.mark_changed();
    let mut timer = interval(ADDRESSES);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tasks.spawn(frames::follow(app.clone()));
    let kept = app.backends.standing.exceptions.clone();
    tasks.spawn(async move {
        if let Err(error) = kept.load(&app).await {
            // nothing is opened that way: what the manifests say stays
            tracing::warn!(%error, "the owner's exceptions for ports cannot be read");
        }
        let mut before = (Vec::new(), Vec::new());
        loop {
            let mut retry = false;
            tokio::select! {
                () = stop.cancelled() => return,
                changed = snapshots.changed() => if changed.is_err() { return },
                _ = timer.tick() => retry = true,
                () = kept.changed.notified() => {}
            }
            let snapshot = snapshots.borrow_and_update().clone();
            let now = (rules::rules(&snapshot, &kept.now()), addresses());
            if now == before && !retry {
                continue;
            }
            let standing = gate.set(&now.0, &now.1);
            before = now;
            tell(&app, standing, secure);
        }
    });
}

/// Publishes where the gate stands: an app is shown with an address once the gate is before it.
fn tell(app: &App, standing: BTreeMap<u16, Listening>, secure: bool) {
    let guarded = standing
        .iter()
        .filter(|(_, listening)| !listening.addresses.is_empty())
        .map(|(port, _)| *port)
        .collect();
    for (port, listening) in &standing {
        for (address, why) in &listening.refused {
            tracing::debug!(port, %address, why, "the gate cannot stand here");
        }
    }
    if app.backends.standing.set(standing) {
        app.hub.set_guarded(guarded, secure);
    }
}

/// Every address of the node but loopback; the any-address of IPv6 stands for all of those.
fn addresses() -> Vec<IpAddr> {
    let own = net::addresses().into_iter().filter(|ip| ip.is_ipv4() && !ip.is_loopback());
    let mut all: Vec<IpAddr> = own.chain([IpAddr::V6(Ipv6Addr::UNSPECIFIED)]).collect();
    all.sort_unstable();
    all.dedup();
    all
}
