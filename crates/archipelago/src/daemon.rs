//! The daemon as a whole: listeners up, served until told to stop, taken down in good order.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use archy_types::UserError;
use sd_notify::NotifyState;
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::app_gate;
use crate::config::Config;
use crate::lifecycle;
use crate::net::activation::Handed;
use crate::net::certs::{Certs, names_of};
use crate::net::serve::{Limits, Server};
use crate::net::{mdns, unix};
use crate::recovery::Opened;
use crate::sources::Backends;
use crate::{clock, metrics, notify, web};

/// Time for the engine to reach a safe point.
const ENGINE_DEADLINE: Duration = Duration::from_secs(20);
/// Time for connections to end.
const CONNECTIONS_DEADLINE: Duration = Duration::from_secs(5);

/// A daemon whose listeners are up.
#[derive(Debug)]
pub struct Daemon {
    /// What requests use.
    pub app: Arc<App>,
    /// Addresses that HTTPS is served on.
    pub https: Vec<SocketAddr>,
    /// Addresses that plain HTTP is served on.
    pub http: Vec<SocketAddr>,
    certs: Option<Arc<Certs>>,
    tasks: TaskTracker,
}

/// Sockets that are bound.
struct Bound {
    https: Vec<TcpListener>,
    http: Vec<TcpListener>,
    unix: Vec<UnixListener>,
}

impl Daemon {
    /// Reads what is durable and the manifests, opens the listeners, and serves.
    ///
    /// # Errors
    /// The store cannot be read, or a listener cannot be had.
    pub async fn start(
        config: Config,
        backends: Backends,
        opened: Opened,
        handed: Handed,
        limits: Limits,
    ) -> Result<Self, UserError> {
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let app = App::new(config, backends, opened, stop.clone()).await?;
        // the listeners open when installs by id can be answered
        tokio::task::block_in_place(|| app.catalog.refresh());
        let bound = Bound::new(&app.config, handed).await?;
        let certs = if bound.https.is_empty() { None } else { Some(certs(&app)?) };
        certs.iter().for_each(|certs| app.set_certs(certs.clone()));
        let local = |listeners: &[TcpListener]| -> Vec<SocketAddr> {
            listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
        };
        let (https, http) = (local(&bound.https), local(&bound.http));
        app.is_served_on(&https, &http);
        let server = Server::new(web::router(app.clone()), limits, stop.clone(), tasks.clone());
        for listener in bound.unix {
            server.unix(listener, app.config.uid);
        }
        if let Some(certs) = &certs {
            let tls = certs.server_config(&[b"http/1.1"]).map_err(|error| {
                UserError::new("tls-unusable", format!("TLS cannot be used: {error}."))
            })?;
            bound.https.into_iter().for_each(|listener| server.https(listener, tls.clone()));
        }
        let port = https.first().map_or(443, SocketAddr::port);
        let plain = web::plain_router(&app, port);
        let plain = Server::new(plain, limits, stop, tasks.clone());
        bound.http.into_iter().for_each(|listener| plain.http(listener));
        lifecycle::spawn(&app, certs.clone(), &tasks);
        metrics::spawn(&app, &tasks);
        notify::spawn(&app, &tasks);
        app_gate::spawn(&app, certs.as_ref(), &tasks);
        mdns::spawn(&app, &tasks);
        for address in &https {
            tracing::info!(%address, "serving HTTPS");
        }
        tracing::info!(socket = %app.config.paths.rpc_socket.display(), "serving the unix socket");
        Ok(Self { app, https, http, certs, tasks })
    }

    /// Serves until SIGTERM or SIGINT, then stops in good order.
    ///
    /// # Errors
    /// The system does not give signals.
    pub async fn run(self) -> std::io::Result<()> {
        lifecycle::notify(NotifyState::Ready);
        lifecycle::until_told(&self.app, self.certs.clone()).await?;
        tracing::info!("stopping; apps keep running");
        lifecycle::notify(NotifyState::Stopping);
        self.stop().await;
        Ok(())
    }

    /// Ends connections and the engine, each within its deadline.
    pub async fn stop(self) {
        self.app.stop.cancel();
        self.tasks.close();
        let engine = tokio::time::timeout(ENGINE_DEADLINE, self.app.backends.engine.shutdown());
        let connections = tokio::time::timeout(CONNECTIONS_DEADLINE, self.tasks.wait());
        let (engine, connections) = tokio::join!(engine, connections);
        if engine.is_err() {
            tracing::warn!(
                "the engine did not reach a safe point in time; the journal goes on from here"
            );
        }
        if connections.is_err() {
            tracing::warn!("connections were cut");
        }
    }
}

fn certs(app: &App) -> Result<Arc<Certs>, UserError> {
    let naming = &app.config.naming;
    let public = naming.public_host.clone().zip(naming.public_pair.clone());
    let public = public.map(|(name, (cert, key))| (name, cert, key));
    let names = names_of(&app.config);
    let (ssl_dir, now) = (&app.config.paths.ssl_dir, clock::now());
    tokio::task::block_in_place(|| Certs::open(ssl_dir, public, &names, now)).map_err(|error| {
        UserError::new("certificate-unusable", error.to_string())
            .hint("The service user must be able to write the certificate's directory (ssl_dir).")
    })
}

impl Bound {
    async fn new(config: &Config, handed: Handed) -> Result<Self, UserError> {
        let mut bound = Self {
            https: handed.https.into_iter().map(adopt).collect::<Result<_, _>>()?,
            http: handed.http.into_iter().map(adopt).collect::<Result<_, _>>()?,
            unix: Vec::new(),
        };
        for listener in handed.unix {
            let adopted =
                listener.set_nonblocking(true).and_then(|()| UnixListener::from_std(listener));
            bound.unix.push(adopted.map_err(|error| refused("a socket of systemd", &error))?);
        }
        if bound.unix.is_empty() {
            let listener = unix::bind(&config.paths.rpc_socket).map_err(|error| {
                UserError::new("socket-unusable", error.to_string())
                    .hint("Stop the other daemon, or set rpc_socket to another path.")
            })?;
            bound.unix.push(listener);
        }
        let host = config.listen.bind_host;
        if bound.https.is_empty()
            && let Some(port) = config.listen.https_port
        {
            bound.https.push(listen(SocketAddr::new(host, port)).await?);
        }
        if bound.http.is_empty()
            && let Some(port) = config.listen.http_port
        {
            bound.http.push(listen(SocketAddr::new(host, port)).await?);
        }
        Ok(bound)
    }
}

fn adopt(listener: std::net::TcpListener) -> Result<TcpListener, UserError> {
    listener
        .set_nonblocking(true)
        .and_then(|()| TcpListener::from_std(listener))
        .map_err(|error| refused("a socket of systemd", &error))
}

/// Listens; on a machine without IPv6 "any address" means any of IPv4.
async fn listen(address: SocketAddr) -> Result<TcpListener, UserError> {
    let any_v6 = address.ip() == std::net::Ipv6Addr::UNSPECIFIED;
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(listener),
        Err(error) if any_v6 && error.kind() != std::io::ErrorKind::AddrInUse => {
            let v4 = SocketAddr::from((std::net::Ipv4Addr::UNSPECIFIED, address.port()));
            TcpListener::bind(v4).await.map_err(|error| refused(&v4.to_string(), &error))
        }
        Err(error) => Err(refused(&address.to_string(), &error)),
    }
}

fn refused(what: &str, error: &std::io::Error) -> UserError {
    UserError::new("listen-failed", format!("Cannot listen on {what}: {error}."))
        .hint("Another program may have the port; set bind_port or bind_host.")
}

impl App {
    /// Notes the addresses that it is served on.
    fn is_served_on(&self, https: &[SocketAddr], http: &[SocketAddr]) {
        let addresses = https.iter().map(|address| format!("https://{address}"));
        let plain = http.iter().map(|address| format!("http://{address}"));
        *self.addresses.write().unwrap_or_else(PoisonError::into_inner) =
            addresses.chain(plain).collect();
        *self.own_ports.write().unwrap_or_else(PoisonError::into_inner) =
            https.iter().map(SocketAddr::port).collect();
    }
}
