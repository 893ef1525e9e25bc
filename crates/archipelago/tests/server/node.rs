//! The daemon under test, a fake engine behind it, and clients in front.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use archipelago::Daemon;
use archipelago::config::{Config, Sources, User};
use archipelago::logs::{LogEntry, LogSource};
use archipelago::net::activation::Handed;
use archipelago::net::serve::Limits;
use archipelago::sources::{Backends, ExecSource, SnapshotFact, SystemFacts, SystemSource};
use archy_api::logs::LogSource as Stream;
use archy_engine::handle::Command;
use archy_engine::ports::ExecOutput;
use archy_engine::status::PortView;
use archy_engine::{Accepted, AppView, Handle, RequestKind, ServiceView, Snapshot};
use archy_manifest::Manifest;
use archy_plan::{DesiredState, Known, Plan};
use archy_types::{
    Actor, AppId, AppState, Cause, Digest, Generation, Health, OperationId, StatusReport,
    Timestamp, UserError,
};
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio_rustls::client::TlsStream;

use crate::host::Closer;

pub const PASSWORD: &str = "correct horse";

pub const MANIFEST: &str = "app:
  id: blog
  name: Blog
  version: 1.2.3
  description: A blog. With posts.
  config:
    title: { label: Title, type: text, default: Mine, targets: [{ service: main, env: TITLE }] }
    token: { label: Token, type: secret, targets: [{ service: main, env: TOKEN }] }
  container:
    image: registry.example/blog:1.2.3
    ports: [{ host: 8080, container: 80, auth: gated }]
  interfaces:
    main: { name: UI, type: ui, port: 8080, protocol: http, path: / }
";

/// What the fake engine was asked, in words.
pub type Asked = Arc<Mutex<Vec<String>>>;

pub struct Node {
    pub daemon: Daemon,
    pub dir: tempfile::TempDir,
    pub asked: Asked,
    pub snapshots: watch::Sender<Arc<Snapshot>>,
    pub closer: Arc<Closer>,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{:?}", self.body))
    }

    pub fn code(&self) -> String {
        let body = self.json();
        body["error"]["data"]["code"].as_str().unwrap_or("none").to_owned()
    }

    pub fn cookies(&self) -> Vec<String> {
        let cookies = self.headers.get_all(header::SET_COOKIE).iter();
        cookies.map(|value| value.to_str().unwrap().to_owned()).collect()
    }
}

/// A browser's cookies and what it puts into headers.
#[derive(Clone, Default)]
pub struct Browser {
    pub session: String,
    pub csrf: String,
}

impl Browser {
    pub fn of(answer: &Answer) -> Self {
        let value = |name: &str| {
            let cookies = answer.cookies();
            let line = cookies.iter().find(|line| line.starts_with(name)).unwrap();
            line[name.len() + 1..line.find(';').unwrap()].to_owned()
        };
        Self { session: value("session"), csrf: value("csrf_token") }
    }

    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let cookie = format!("session={}; csrf_token={}", self.session, self.csrf);
        vec![("cookie", cookie), ("x-csrf-token", self.csrf.clone())]
    }
}

impl Node {
    pub async fn start() -> Self {
        Self::start_with(&[], Limits::default()).await
    }

    pub async fn start_with(settings: &[(&str, &str)], limits: Limits) -> Self {
        Self::start_on(settings, limits, Closer::default()).await
    }

    pub async fn start_on(settings: &[(&str, &str)], limits: Limits, closer: Closer) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        for name in ["data", "apps/blog"] {
            std::fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        std::fs::write(dir.path().join("apps/blog/manifest.yml"), MANIFEST).unwrap();
        let mut all: BTreeMap<String, String> = BTreeMap::from([
            ("mode".into(), "user".into()),
            ("data_dir".into(), path("data")),
            ("state_dir".into(), path("state")),
            ("apps_dir".into(), path("apps")),
            ("rpc_socket".into(), path("run/rpc.sock")),
            ("ssl_dir".into(), path("ssl")),
            ("bind_port".into(), "0".into()),
            ("http_port".into(), "0".into()),
            ("host_ip".into(), "10.9.8.7".into()),
        ]);
        all.extend(settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        let home = [("HOME".to_owned(), path("home"))];
        let config = Config::read(Sources::new(home, all), None, &User::current()).unwrap();
        let opened = archipelago::recovery::open(&config, false).await.unwrap();
        let closer = Arc::new(closer);
        let (engine, snapshots, asked) = fake_engine();
        let backends = Backends {
            engine,
            logs: Arc::new(FakeHost),
            exec: Arc::new(FakeHost),
            system: Arc::new(FakeHost),
            last_pass: Arc::default(),
            doubt: Arc::default(),
            standing: archipelago::app_gate::Standing::default(),
            identity: archipelago::identity::IdentityDesk::open(&dir.path().join("data")),
            survey: closer.clone(),
        };
        let daemon =
            Daemon::start(config, backends, opened, Handed::default(), limits).await.unwrap();
        Self { daemon, dir, asked, snapshots, closer }
    }

    pub fn address(&self) -> SocketAddr {
        self.daemon.https[0]
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("run/rpc.sock")
    }

    /// A TLS connection that trusts the node's own authority and nothing else.
    pub async fn tls(&self) -> TlsStream<TcpStream> {
        use rustls_pki_types::pem::PemObject as _;
        let mut roots = rustls::RootCertStore::empty();
        let file = self.dir.path().join("ssl/ca.crt");
        roots.add(rustls_pki_types::CertificateDer::from_pem_file(file).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(self.address()).await.unwrap();
        let name = rustls_pki_types::ServerName::try_from("localhost").unwrap();
        tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
    }

    pub async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        exchange(self.tls().await, request).await
    }

    /// One call over HTTPS.
    pub async fn call(
        &self,
        method: &str,
        params: Value,
        headers: &[(&'static str, String)],
    ) -> Answer {
        let body = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
        self.send(post(body.to_string(), headers)).await
    }

    /// One call over the unix socket.
    pub async fn local(&self, method: &str, params: Value) -> Answer {
        let body = json!({"method": method, "params": params, "id": 7});
        let stream = UnixStream::connect(self.socket()).await.unwrap();
        exchange(stream, post(body.to_string(), &[])).await
    }

    /// Sets the password and logs in.
    pub async fn owner(&self) -> Browser {
        let answer = self.call("auth.setup", json!({"password": PASSWORD}), &[]).await;
        assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
        Browser::of(&answer)
    }

    pub async fn get(&self, path: &str, headers: &[(&'static str, String)]) -> Answer {
        let request = with(Request::get(path), headers).body(Full::default()).unwrap();
        self.send(request).await
    }
}

pub fn post(body: impl Into<Bytes>, headers: &[(&'static str, String)]) -> Request<Full<Bytes>> {
    with(Request::builder().method(Method::POST).uri("/rpc/v1"), headers)
        .body(Full::new(body.into()))
        .unwrap()
}

fn with(
    mut request: http::request::Builder,
    headers: &[(&'static str, String)],
) -> http::request::Builder {
    if !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", "localhost");
    }
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    request
}

pub async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Answer
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let driver = tokio::spawn(connection);
    let response = sender.send_request(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    driver.abort();
    Answer { status: parts.status, headers: parts.headers, body }
}

fn fake_engine() -> (Handle, watch::Sender<Arc<Snapshot>>, Asked) {
    let (commands, mut inbox) = mpsc::channel(16);
    let (sender, receiver) = watch::channel(Arc::new(Snapshot::default()));
    let (snapshots, asked) = (sender.clone(), Asked::default());
    let words = asked.clone();
    tokio::spawn(async move {
        let mut next = 1;
        while let Some(command) = inbox.recv().await {
            match command {
                Command::Adoptable(_, reply) => drop(reply.send(Ok(Vec::new()))),
                Command::Submit(request, reply) => {
                    let (word, app) = describe(&request.kind);
                    words.lock().unwrap().push(format!("{word} {app}"));
                    if let RequestKind::Install { manifest, .. } = request.kind {
                        publish(&sender, &app, Some(view(manifest, AppState::Running)));
                    }
                    drop(reply.send(Ok(Accepted::Operation(OperationId(next)))));
                    next += 1;
                }
                Command::Plan(request, reply) => {
                    let (_, app) = describe(&request.kind);
                    drop(reply.send(Ok(Plan {
                        app,
                        generation: Generation(1),
                        manifest: Digest::of(b""),
                        steps: vec![archy_plan::PlannedStep {
                            step: archy_plan::Step::StopUnits {
                                units: vec!["blog.service".into()],
                                deadline_secs: 40,
                            },
                            reason: "it is wanted stopped".into(),
                        }],
                        checks: Vec::new(),
                    })));
                }
                Command::Cancel(wish, reply) => {
                    words.lock().unwrap().push(format!("cancel {}", wish.app));
                    drop(reply.send(Ok(wish.operation.unwrap_or(OperationId(next)))));
                }
                Command::Poke => {}
                Command::Shutdown(reply) => {
                    assert!(reply.send(()).is_ok());
                    return;
                }
            }
        }
    });
    (Handle::from_parts(commands, receiver), snapshots, asked)
}

fn describe(kind: &RequestKind) -> (&'static str, AppId) {
    match kind {
        RequestKind::Install { manifest, .. } => ("install", manifest.id.clone()),
        RequestKind::Start(app) => ("start", app.clone()),
        RequestKind::Stop(app) => ("stop", app.clone()),
        RequestKind::Restart(app) => ("restart", app.clone()),
        RequestKind::Uninstall { app, purge: false } => ("uninstall", app.clone()),
        RequestKind::Uninstall { app, purge: true } => ("purge", app.clone()),
        RequestKind::PurgeLeft { left, .. } => ("purge-left", left.manifest.id.clone()),
        RequestKind::Configure { app, .. } => ("configure", app.clone()),
        RequestKind::Update { to, .. } => ("update", to.manifest.id.clone()),
        RequestKind::Rollback { app, .. } => ("rollback", app.clone()),
        RequestKind::Adopt { to } => ("adopt", to.manifest.id.clone()),
        RequestKind::Migrate { app, .. } => ("migrate", app.clone()),
        RequestKind::MigrateBack(app) => ("migrate-back", app.clone()),
        RequestKind::MigrateCommit(app) => ("migrate-commit", app.clone()),
    }
}

/// Publishes a snapshot in which one app is so, or gone.
pub fn publish(sender: &watch::Sender<Arc<Snapshot>>, app: &AppId, view: Option<AppView>) {
    sender.send_modify(|snapshot| {
        let mut next = (**snapshot).clone();
        next.seq += 1;
        next.observed_at = Timestamp(next.observed_at.0 + 1000);
        match view {
            Some(view) => drop(next.apps.insert(app.clone(), Arc::new(view))),
            None => drop(next.apps.remove(app)),
        }
        *snapshot = Arc::new(next);
    });
}

pub fn manifest(id: &str) -> Arc<Manifest> {
    let text = MANIFEST.replace("id: blog", &format!("id: {id}"));
    Arc::new(Manifest::parse(text.as_bytes()).unwrap())
}

pub fn view(manifest: Arc<Manifest>, state: AppState) -> AppView {
    let name = manifest.services.keys().next().unwrap().clone();
    AppView {
        digest: Digest::of(b"x"),
        generation: Generation(1),
        desired: DesiredState::Running,
        actor: Actor::User("cli".into()),
        report: StatusReport {
            state,
            cause: Cause::new("as-wanted", "All services run."),
            since: Timestamp(5),
            actor: Actor::System,
            next: None,
            repair: None,
            deadline: None,
        },
        health: Health::Healthy,
        services: vec![ServiceView {
            name: name.clone(),
            container: manifest.id.to_string(),
            unit_state: "active".into(),
            health: Health::Healthy,
            health_output: None,
            restarts: 0,
            exit_status: None,
            active_since: Some(Timestamp(5)),
        }],
        ports: vec![PortView {
            service: name,
            host: 18080,
            container: 80,
            protocol: archy_manifest::model::Protocol::Tcp,
            auth: Some(archy_manifest::model::PortAuth::Gated),
            loopback_only: true,
        }],
        operation: None,
        notes: Vec::new(),
        adopted: None,
        manifest,
    }
}

struct FakeHost;

fn entry(at: i64, line: &str) -> LogEntry {
    LogEntry { at: Timestamp(at), stream: Stream::Stdout, line: line.into() }
}

impl LogSource for FakeHost {
    fn tail<'a>(
        &'a self,
        container: &'a str,
        lines: usize,
        _: Option<Timestamp>,
    ) -> BoxFuture<'a, Result<Vec<LogEntry>, UserError>> {
        let all = vec![entry(1, "first"), entry(2, container)];
        let skip = all.len().saturating_sub(lines);
        Box::pin(async move { Ok(all.into_iter().skip(skip).collect()) })
    }

    fn follow(
        &self,
        container: &str,
        _: usize,
        _: Option<Timestamp>,
    ) -> BoxStream<'static, Result<LogEntry, UserError>> {
        let end = UserError::new("logs-unavailable", "The log ended.");
        stream::iter([Ok(entry(1, container)), Err(end)]).boxed()
    }
}

impl ExecSource for FakeHost {
    fn exec(
        &self,
        container: String,
        command: Vec<String>,
        _: Option<String>,
        deadline: Duration,
    ) -> BoxFuture<'_, Result<ExecOutput, UserError>> {
        let output = format!("{container}: {} ({} s)", command.join(" "), deadline.as_secs());
        Box::pin(async move { Ok(ExecOutput { exit_code: 3, output }) })
    }
}

impl SystemSource for FakeHost {
    fn facts(&self) -> BoxFuture<'_, SystemFacts> {
        Box::pin(async {
            SystemFacts {
                podman_version: Known::Yes("5.4.2".into()),
                systemd_version: Known::No(Cause::new("bus-silent", "The bus does not answer.")),
                lingering: Known::Yes(true),
                cgroup_controllers: Known::Yes(vec!["memory".into()]),
            }
        })
    }

    fn data_bytes<'a>(&'a self, _: &'a AppId) -> BoxFuture<'a, Result<u64, UserError>> {
        Box::pin(async { Ok(4096) })
    }

    fn snapshots<'a>(
        &'a self,
        _: &'a AppId,
    ) -> BoxFuture<'a, Result<Vec<SnapshotFact>, UserError>> {
        let fact = |generation: u64, taken: i64| SnapshotFact {
            generation: Generation(generation),
            taken: Timestamp(taken),
            expires: Timestamp(taken + 7),
            bytes: 512,
            before_version: "2.0".to_owned(),
            restored: false,
        };
        Box::pin(async move { Ok(vec![fact(3, 30), fact(9, 90)]) })
    }
}
