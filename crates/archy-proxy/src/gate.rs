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
use crate::headers::Names;
use crate::rule::{Doorkeeper, Rule};
use crate::slots::Slots;
use crate::upstream::Upstreams;

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
    /// Time in which something of a body must come, and something of an answer be taken.
    pub still: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            per_address: 512,
            first_byte: Duration::from_secs(15),
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(60),
            still: Duration::from_secs(120),
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
    pub(crate) upstreams: Arc<Upstreams>,
    stop: CancellationToken,
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

/// The rule of a port as it is now: connections that stay open follow it.
#[derive(Debug)]
pub(crate) struct Current(RwLock<(Arc<Rule>, CancellationToken)>);

impl Current {
    /// The rule, and what ends the WebSockets that were opened under it.
    pub(crate) fn now(&self) -> (Arc<Rule>, CancellationToken) {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Another rule; when it asks more of visitors, what they opened before ends.
    fn set(&self, rule: &Rule, stop: &CancellationToken) {
        let mut now = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if *now.0 == *rule {
            return;
        }
        if now.0.access != rule.access || now.0.app != rule.app {
            now.1.cancel();
            now.1 = stop.child_token();
        }
        now.0 = Arc::new(rule.clone());
    }
}

#[derive(Debug)]
struct Port {
    current: Arc<Current>,
    open: BTreeMap<SocketAddr, CancellationToken>,
}

impl Drop for Port {
    fn drop(&mut self) {
        self.current.now().1.cancel();
        self.open.values().for_each(CancellationToken::cancel);
    }
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
        let upstreams = Arc::<Upstreams>::default();
        let sweep = Upstreams::sweep(Arc::downgrade(&upstreams));
        let ended = stop.clone();
        tasks.spawn(async move { ended.run_until_cancelled(sweep).await });
        let shared = Shared { keeper, names, limits, tls, upstreams, stop, slots, tasks };
        Self { shared: Arc::new(shared), ports: BTreeMap::new() }
    }

    /// Stands before these ports on these addresses and no others, and says where it does. Listeners
    /// that stay are not touched.
    pub fn set(&mut self, rules: &[Rule], addresses: &[IpAddr]) -> BTreeMap<u16, Listening> {
        self.ports.retain(|port, _| rules.iter().any(|rule| rule.port == *port));
        rules.iter().map(|rule| (rule.port, self.stand_before(rule, addresses))).collect()
    }

    fn stand_before(&mut self, rule: &Rule, addresses: &[IpAddr]) -> Listening {
        let stop = &self.shared.stop;
        let port = self.ports.entry(rule.port).or_insert_with(|| {
            let current = RwLock::new((Arc::new(rule.clone()), stop.child_token()));
            Port { current: Arc::new(Current(current)), open: BTreeMap::new() }
        });
        port.current.set(rule, stop);
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
                    let (shared, current) = (self.shared.clone(), port.current.clone());
                    self.shared.tasks.spawn(accept(shared, current, listener, stop.clone()));
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
    current: Arc<Current>,
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
        let one = connection::Connection {
            shared: shared.clone(),
            current: current.clone(),
            peer,
            stop: stop.clone(),
            slot: Arc::new(slot),
        };
        shared.tasks.spawn(one.serve(stream));
    }
}
