//! The listeners: one for each port and address, opened and closed as apps come and go.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connection;
use crate::forward::{self, Client};
use crate::headers::Names;
use crate::rule::{Doorkeeper, Rule};
use crate::slots::Slots;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// How connections are bounded.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Of these from one address other than loopback.
    pub per_address: usize,
    /// Time for a connection's first byte.
    pub first_byte: Duration,
    /// Time for a TLS handshake.
    pub handshake: Duration,
    /// Time for a request's head, also between two requests of a connection.
    pub head: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            per_address: 512,
            first_byte: Duration::from_secs(15),
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(60),
        }
    }
}

/// What every connection uses.
#[derive(Debug)]
pub(crate) struct Shared<D> {
    pub(crate) keeper: D,
    pub(crate) names: Names,
    pub(crate) limits: Limits,
    pub(crate) tls: Option<Arc<rustls::ServerConfig>>,
    pub(crate) client: Client,
    pub(crate) stop: CancellationToken,
    slots: Slots,
    tasks: TaskTracker,
}

/// A port that the gate stands before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listening {
    /// Addresses that it takes connections on.
    pub addresses: BTreeSet<SocketAddr>,
    /// What it cannot listen on, with the system's words.
    pub refused: BTreeMap<SocketAddr, String>,
}

#[derive(Debug)]
struct Port {
    rule: Arc<RwLock<Arc<Rule>>>,
    open: BTreeMap<SocketAddr, CancellationToken>,
}

/// The gate.
#[derive(Debug)]
pub struct Gate<D> {
    shared: Arc<Shared<D>>,
    ports: BTreeMap<u16, Port>,
}

impl<D: Doorkeeper> Gate<D> {
    /// A gate before nothing yet. `names` are the cookies that never reach an app; `tls` may be
    /// missing: then connections that begin with TLS are closed. It ends when `stop` is cancelled; each
    /// task it starts is in `tasks`.
    #[must_use]
    pub fn new(
        keeper: D,
        names: Names,
        limits: Limits,
        tls: Option<Arc<rustls::ServerConfig>>,
        stop: CancellationToken,
        tasks: TaskTracker,
    ) -> Self {
        let slots = Slots::new(limits.connections, limits.per_address);
        let client = forward::client();
        let shared = Shared { keeper, names, limits, tls, client, stop, slots, tasks };
        Self { shared: Arc::new(shared), ports: BTreeMap::new() }
    }

    /// Stands before these ports on these addresses and no others, and says where it does. Listeners
    /// that stay are not touched.
    pub fn set(&mut self, rules: &[Rule], addresses: &[IpAddr]) -> BTreeMap<u16, Listening> {
        let gone: Vec<u16> = self.ports.keys().copied().collect();
        for port in gone.iter().filter(|port| !rules.iter().any(|rule| rule.port == **port)) {
            if let Some(port) = self.ports.remove(port) {
                port.open.values().for_each(CancellationToken::cancel);
            }
        }
        rules.iter().map(|rule| (rule.port, self.stand_before(rule, addresses))).collect()
    }

    fn stand_before(&mut self, rule: &Rule, addresses: &[IpAddr]) -> Listening {
        let port = self.ports.entry(rule.port).or_insert_with(|| Port {
            rule: Arc::new(RwLock::new(Arc::new(rule.clone()))),
            open: BTreeMap::new(),
        });
        {
            let mut now = port.rule.write().unwrap_or_else(PoisonError::into_inner);
            if **now != *rule {
                *now = Arc::new(rule.clone());
            }
        }
        let wanted: BTreeSet<SocketAddr> =
            addresses.iter().map(|ip| SocketAddr::new(*ip, rule.port)).collect();
        port.open.retain(|address, stop| {
            let stays = wanted.contains(address);
            if !stays {
                stop.cancel();
            }
            stays
        });
        let mut refused = BTreeMap::new();
        for address in wanted {
            if port.open.contains_key(&address) {
                continue;
            }
            match listen(address) {
                Ok(listener) => {
                    let stop = self.shared.stop.child_token();
                    let (shared, rule) = (self.shared.clone(), port.rule.clone());
                    self.shared.tasks.spawn(accept(shared, rule, listener, stop.clone()));
                    port.open.insert(address, stop);
                }
                Err(error) => {
                    refused.insert(address, error.to_string());
                }
            }
        }
        Listening { addresses: port.open.keys().copied().collect(), refused }
    }
}

/// Listens on one address. The any-address of IPv6 does not mean IPv4, where the app itself has its
/// port on loopback.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let any_v6 = address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let socket = if address.is_ipv6() { TcpSocket::new_v6()? } else { TcpSocket::new_v4()? };
    socket.set_reuseaddr(true)?;
    if any_v6 {
        rustix::net::sockopt::set_ipv6_v6only(&socket, true)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn accept<D: Doorkeeper>(
    shared: Arc<Shared<D>>,
    rule: Arc<RwLock<Arc<Rule>>>,
    listener: TcpListener,
    stop: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // mostly a lack of descriptors: wait a moment for some to be freed
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Some(slot) = shared.slots.take(peer.ip()) else {
            tracing::debug!(%peer, "too many connections");
            continue;
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
        let rule = rule.read().unwrap_or_else(PoisonError::into_inner).clone();
        let one = shared.clone();
        shared.tasks.spawn(async move {
            let _slot = slot;
            connection::serve(one, rule, stream, peer).await;
        });
    }
}
