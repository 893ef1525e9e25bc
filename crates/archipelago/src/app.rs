//! Everything that a request may use.

use std::net::Ipv4Addr;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use archy_api::state::{Notice, ServerInfo};
use archy_store::Store;
use archy_types::{OperationId, Timestamp, UserError};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::auth::login::{self, Half};
use crate::auth::onboarding::Onboarding;
use crate::auth::signer::Signers;
use crate::auth::totp::SecondFactor;
use crate::auth::{Audit, Limiter, Pending, Sessions, TokenFile, UserFile, passkeys::Passkeys};
use crate::catalog::Catalog;
use crate::clock;
use crate::config::Config;
use crate::connect;
use crate::guard::{self, Doubt};
use crate::metrics::{Metrics, Roots};
use crate::net::certs::Certs;
use crate::notify::Desk;
use crate::recovery::Opened;
use crate::registry::Registries;
use crate::rpc::errors::Masks;
use crate::sources::Backends;
use crate::state::Hub;
use crate::state::socket::MAX_SOCKETS;
use crate::system::StatsCache;

/// Version of the daemon.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Key of the node's name in the store's settings.
const NAME_KEY: &str = "node.name";

/// State of the server, shared by all connections.
#[derive(Debug)]
pub struct App {
    /// Configuration.
    pub config: Config,
    /// Engine, logs, commands, host.
    pub backends: Backends,
    /// Durable state.
    pub store: Store,
    /// Who is logged in.
    pub sessions: Sessions,
    /// The owner and the other users.
    pub users: UserFile,
    /// Tokens of devices and of remembered browsers.
    pub tokens: TokenFile,
    /// Logins of which only the code is missing.
    pub halves: Pending<Half>,
    /// Second factors of which no code was given yet.
    pub factors: Pending<SecondFactor>,
    /// Passkeys that are being registered or asked.
    pub passkeys: Passkeys,
    /// Logins that linked signers are asked about.
    pub signers: Signers,
    /// Who did what.
    pub audit: Audit,
    /// The recovery seed, and whether the first steps are over.
    pub onboarding: Onboarding,
    /// Rate limits.
    pub limiter: Limiter,
    /// Manifests that can be installed by id.
    pub catalog: Catalog,
    /// Registries that the owner trusts.
    pub registries: Registries,
    /// The published state.
    pub hub: Arc<Hub>,
    /// Processor, memory and disk use.
    pub stats: StatsCache,
    /// The same over time, and that of apps.
    pub metrics: Metrics,
    /// What needs attention, and where the owner is told of it.
    pub notify: Desk,
    /// Paths that errors must not show to the network.
    pub masks: Masks,
    /// Places for subscriptions.
    pub sockets: Arc<Semaphore>,
    /// Cancelled when the daemon stops.
    pub stop: CancellationToken,
    /// Cancelled when the daemon is to end and to be started anew.
    pub begin_anew: CancellationToken,
    /// Whether the wall clock is to be trusted.
    pub doubt: Arc<Doubt>,
    /// What the owner should know of how the daemon found its store.
    pub found_at_start: Vec<Notice>,
    /// The last moment that the node remembered when the daemon began.
    pub last_seen: Option<Timestamp>,
    /// Name of the host.
    pub hostname: String,
    /// Addresses that the API is served on, filled in when the listeners are up.
    pub addresses: RwLock<Vec<String>>,
    /// Ports of the daemon's own pages.
    pub own_ports: RwLock<Vec<u16>>,
    /// The node's certificates, once the listeners are up.
    certs: OnceLock<Arc<Certs>>,
    /// Operations that an earlier run left open; emptied once they have ended.
    left_open: tokio::sync::Mutex<Vec<OperationId>>,
    started_millis: u64,
}

/// What the node says of itself: its own name, or that of the machine.
async fn server_info(store: &Store, hostname: &str) -> Result<ServerInfo, UserError> {
    let name = store.setting(NAME_KEY).await?;
    let name = name.and_then(|name| name.as_str().map(str::to_owned));
    Ok(ServerInfo {
        pubkey: None,
        name: name.unwrap_or_else(|| hostname.to_owned()),
        version: VERSION.to_owned(),
        hostname: hostname.to_owned(),
    })
}

/// The measures that the last run of the daemon kept.
fn metrics(config: &Config) -> Metrics {
    let roots = Roots {
        user_cgroup: connect::user_cgroup(config.uid),
        proc: "/proc".into(),
        sys: "/sys".into(),
    };
    let paths = &config.paths;
    let dirs = vec![paths.data_dir.clone(), paths.state_dir.clone(), "/".into()];
    Metrics::open(paths.state_dir.join("metrics.json"), roots, dirs)
}

/// The manifests on the disk and those of registries that were fetched before.
async fn catalog(config: &Config, store: &Store) -> Result<(Catalog, Registries), UserError> {
    let catalog = Catalog::new(config.paths.apps_dirs.clone());
    let registries = Registries::load(&config.paths, store.clone()).await?;
    catalog.set_registries(registries.sources());
    Ok((catalog, registries))
}

/// Where the numbers of the state begin: a million changes a second fit between two starts, and
/// JavaScript counts that far.
fn first_number(now: Timestamp) -> u64 {
    u64::try_from(now.0 / 1000).unwrap_or_default() << 20
}

async fn left_open(store: &Store) -> Result<Vec<OperationId>, UserError> {
    Ok(store.open_operations().await?.into_iter().map(|operation| operation.id).collect())
}

impl App {
    /// Reads what is durable and puts it together.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn new(
        config: Config,
        backends: Backends,
        opened: Opened,
        stop: CancellationToken,
    ) -> Result<Arc<Self>, UserError> {
        let Opened { store, notices, .. } = opened;
        let now = clock::now();
        let last_seen = guard::last_seen(&store).await;
        clock::begin_steady(last_seen);
        let doubt = backends.doubt.clone();
        doubt.begin(now, last_seen, clock::steady_millis());
        let sessions = Sessions::load(store.clone(), clock::steady_now()).await?;
        let hostname = crate::net::hostname();
        let left_open = left_open(&store).await?;
        let hub =
            Hub::new(first_number(now), server_info(&store, &hostname).await?, host_ip(&config));
        hub.set_snapshot(backends.engine.snapshot());
        hub.set_notices(notices.clone());
        let data_dir = config.paths.data_dir.clone();
        let users = UserFile::new(&data_dir);
        if let Err(error) = users.list().await {
            tracing::error!(%error, "nobody can log in");
        }
        let (tokens, audit, metrics, notify) = tokio::task::block_in_place(|| {
            let metrics = metrics(&config);
            (TokenFile::load(&data_dir), Audit::open(&data_dir), metrics, Desk::open(&data_dir))
        });
        let (catalog, registries) = catalog(&config, &store).await?;
        let masks = Masks::new(&config.paths);
        Ok(Arc::new(Self {
            config,
            backends,
            store,
            sessions,
            users,
            tokens,
            halves: Pending::new(login::HALF_SECS.unsigned_abs(), login::HALF_TRIES),
            factors: Pending::new(600, 5),
            passkeys: Passkeys::default(),
            signers: Signers::default(),
            audit,
            onboarding: Onboarding::new(&data_dir),
            limiter: Limiter::default(),
            catalog,
            registries,
            hub: Arc::new(hub),
            stats: StatsCache::default(),
            metrics,
            notify,
            masks,
            sockets: Arc::new(Semaphore::new(MAX_SOCKETS)),
            stop,
            begin_anew: CancellationToken::new(),
            doubt,
            found_at_start: notices,
            last_seen,
            hostname,
            addresses: RwLock::default(),
            own_ports: RwLock::default(),
            certs: OnceLock::new(),
            left_open: tokio::sync::Mutex::new(left_open),
            started_millis: clock::steady_millis(),
        }))
    }

    /// Seconds since the daemon began.
    #[must_use]
    pub fn uptime_secs(&self) -> u64 {
        (clock::steady_millis() - self.started_millis) / 1000
    }

    /// True when the operations that an earlier run left open have ended.
    pub async fn recovery_complete(&self) -> bool {
        let mut left = self.left_open.lock().await;
        if !left.is_empty()
            && let Ok(open) = self.store.open_operations().await
        {
            left.retain(|id| open.iter().any(|operation| operation.id == *id));
        }
        left.is_empty()
    }

    /// Names the node, for good.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn set_name(&self, name: &str) -> Result<(), UserError> {
        self.store.put_setting(NAME_KEY, name.into()).await?;
        self.hub.set_name(name.to_owned());
        Ok(())
    }

    /// The node's certificates; none when it serves no TLS.
    #[must_use]
    pub fn certs(&self) -> Option<&Arc<Certs>> {
        self.certs.get()
    }

    /// Notes the node's certificates; only the first count.
    pub fn set_certs(&self, certs: Arc<Certs>) {
        drop(self.certs.set(certs));
    }

    /// Puts what registries offer now into the catalog.
    pub async fn take_over_registries(&self) {
        self.catalog.set_registries(self.registries.sources());
        tokio::task::block_in_place(|| self.catalog.refresh());
    }

    /// Looks again at the host's address.
    pub fn refresh_host_ip(&self) {
        self.hub.set_host_ip(host_ip(&self.config));
    }

    /// True for a port that the daemon's own pages are served on.
    #[must_use]
    pub fn is_own_port(&self, port: u16) -> bool {
        matches!(port, 80 | 443)
            || self.own_ports.read().unwrap_or_else(PoisonError::into_inner).contains(&port)
    }
}

/// The address that the owner set, else the one that packets to other networks would leave from.
#[must_use]
pub fn host_ip(config: &Config) -> Option<Ipv4Addr> {
    config.naming.host_ip.or_else(|| {
        // connecting a datagram socket sends nothing; the address is one for documentation
        let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
        match socket.local_addr().ok()?.ip() {
            std::net::IpAddr::V4(ip) if !ip.is_unspecified() => Some(ip),
            _ => None,
        }
    })
}
