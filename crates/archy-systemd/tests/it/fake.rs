//! An `org.freedesktop.systemd1` whose units behave as their names say.

use std::{
    collections::HashMap,
    future::Future,
    os::unix::net::UnixStream,
    sync::{Arc, Mutex},
    time::Duration,
};

use archy_systemd::{Manager, unit_path};
use tokio::sync::Semaphore;
use zbus::{
    Connection, DBusError, Guid, OwnedObjectPath, connection::Builder, fdo, interface,
    object_server::SignalEmitter,
};

pub(crate) const ROOT: &str = "/org/freedesktop/systemd1";

/// Errors of the manager's own.
#[derive(Debug, DBusError)]
#[zbus(prefix = "org.freedesktop.systemd1")]
pub(crate) enum FakeError {
    #[zbus(error)]
    ZBus(zbus::Error),
    NoSuchUnit(String),
    UnitMasked(String),
}

/// What the fake has seen, and what holds it back.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) calls: Mutex<Vec<String>>,
    /// Jobs of `late-*` units end when there are permits.
    pub(crate) late: Semaphore,
    jobs: Mutex<(u32, HashMap<String, u32>)>,
}

struct FakeManager {
    log: Arc<Log>,
}

struct FakeUnit {
    active: String,
    main: u64,
}

/// A client, and the far end of its connection.
pub(crate) struct Fake {
    pub(crate) manager: Manager,
    pub(crate) far: Connection,
    pub(crate) log: Arc<Log>,
}

type Row =
    (String, String, String, String, String, String, OwnedObjectPath, u32, String, OwnedObjectPath);

fn path(text: &str) -> OwnedObjectPath {
    OwnedObjectPath::try_from(text.to_owned()).unwrap()
}

// === impl FakeManager ===

impl FakeManager {
    fn note(&self, call: String) {
        self.log.calls.lock().unwrap().push(call);
    }

    /// A job of a unit. Units called `shared` have one job for all calls.
    fn job(&self, unit: &str) -> u32 {
        let mut jobs = self.log.jobs.lock().unwrap();
        if unit.starts_with("late-shared")
            && let Some(id) = jobs.1.get(unit)
        {
            return *id;
        }
        jobs.0 += 1;
        let id = jobs.0;
        jobs.1.insert(unit.to_owned(), id);
        id
    }

    async fn run(
        &self,
        unit: &str,
        emitter: SignalEmitter<'_>,
    ) -> Result<OwnedObjectPath, FakeError> {
        if unit.starts_with("missing") {
            return Err(FakeError::NoSuchUnit(format!("Unit {unit} not found.")));
        }
        if unit.starts_with("masked") {
            return Err(FakeError::UnitMasked(format!("Unit {unit} is masked.")));
        }
        let id = self.job(unit);
        let job = path(&format!("{ROOT}/job/{id}"));
        let result = unit.split(['.', '-']).nth(1).unwrap_or("done").to_owned();
        match unit.split(['.', '-']).next() {
            // the signal goes out before the answer
            Some("early") => {
                Self::job_removed(&emitter, id, job.clone(), unit.to_owned(), result).await?;
            }
            Some("never") => {}
            _ => {
                let (log, emitter) = (Arc::clone(&self.log), emitter.to_owned());
                let (job, unit) = (job.clone(), unit.to_owned());
                tokio::spawn(async move {
                    log.late.acquire().await.unwrap().forget();
                    Self::job_removed(&emitter, id, job, unit, result).await.unwrap();
                });
            }
        }
        Ok(job)
    }
}

fn row(unit: &str, [load, active, sub]: [&str; 3]) -> Row {
    let text = str::to_owned;
    let object = path(&unit_path(unit));
    let (id, job, job_path) = match unit {
        "web.service" | "queued.service" => (7, "start", "/job/7"),
        _ => (0, "", "/"),
    };
    let (title, following) = (text("Web"), String::new());
    let (job, job_path) = (text(job), path(job_path));
    (text(unit), title, text(load), text(active), text(sub), following, object, id, job, job_path)
}

#[interface(name = "org.freedesktop.systemd1.Manager")]
impl FakeManager {
    fn subscribe(&self) {
        self.note("subscribe".to_owned());
    }

    async fn reload(
        &self,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> Result<(), FakeError> {
        self.note("reload".to_owned());
        Self::reloading(&emitter, true).await?;
        Ok(Self::reloading(&emitter, false).await?)
    }

    async fn start_unit(
        &self,
        name: &str,
        mode: &str,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> Result<OwnedObjectPath, FakeError> {
        self.note(format!("start {name} {mode}"));
        self.run(name, emitter).await
    }

    async fn stop_unit(
        &self,
        name: &str,
        mode: &str,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> Result<OwnedObjectPath, FakeError> {
        self.note(format!("stop {name} {mode}"));
        self.run(name, emitter).await
    }

    fn reset_failed_unit(&self, name: &str) -> Result<(), FakeError> {
        self.note(format!("reset-failed {name}"));
        if name.starts_with("missing") {
            return Err(FakeError::NoSuchUnit(format!("Unit {name} not loaded.")));
        }
        Ok(())
    }

    fn kill_unit(&self, name: &str, whom: &str, signal: i32) {
        self.note(format!("kill {name} {whom} {signal}"));
    }

    fn list_units_by_patterns(&self, states: Vec<String>, patterns: Vec<String>) -> Vec<Row> {
        self.note(format!("list {states:?} {patterns:?}"));
        match patterns.iter().any(|pattern| pattern == "web.service") {
            true => vec![row("web.service", ["loaded", "active", "running"])],
            false => vec![row("web.service", ["loaded", "activating", "auto-restart"])],
        }
    }

    fn list_units_by_names(&self, names: Vec<String>) -> Vec<Row> {
        let states = |name: &str| match name {
            "missing.service" => ["not-found", "inactive", "dead"],
            _ => ["loaded", "inactive", "dead"],
        };
        names.iter().map(|name| row(name, states(name))).collect()
    }

    #[zbus(property)]
    fn system_state(&self) -> String {
        "degraded".to_owned()
    }

    #[zbus(signal)]
    async fn job_removed(
        emitter: &SignalEmitter<'_>,
        id: u32,
        job: OwnedObjectPath,
        unit: String,
        result: String,
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn reloading(emitter: &SignalEmitter<'_>, active: bool) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn unit_new(
        emitter: &SignalEmitter<'_>,
        id: String,
        unit: OwnedObjectPath,
    ) -> zbus::Result<()>;
}

#[interface(name = "org.freedesktop.systemd1.Unit")]
impl FakeUnit {
    #[zbus(property)]
    fn load_state(&self) -> String {
        "loaded".to_owned()
    }
    #[zbus(property)]
    fn active_state(&self) -> String {
        self.active.clone()
    }
    #[zbus(property)]
    fn sub_state(&self) -> String {
        "running".to_owned()
    }
    #[zbus(property)]
    fn active_enter_timestamp(&self) -> u64 {
        self.main
    }
    #[zbus(property)]
    fn inactive_enter_timestamp(&self) -> u64 {
        0
    }
}

struct FakeService;

#[interface(name = "org.freedesktop.systemd1.Service")]
impl FakeService {
    #[zbus(property)]
    fn result(&self) -> fdo::Result<String> {
        Ok("exit-code".to_owned())
    }
    #[zbus(property)]
    fn exec_main_code(&self) -> i32 {
        1
    }
    #[zbus(property)]
    fn exec_main_status(&self) -> i32 {
        3
    }
    #[zbus(property, name = "NRestarts")]
    fn n_restarts(&self) -> u32 {
        4
    }
    #[zbus(property)]
    fn memory_current(&self) -> u64 {
        u64::MAX
    }
    #[zbus(property, name = "TimeoutStopUSec")]
    fn timeout_stop(&self) -> u64 {
        120_000_000
    }
    #[zbus(property, name = "CPUUsageNSec")]
    fn cpu_usage_nsec(&self) -> u64 {
        55
    }
}

// === impl Fake ===

impl Fake {
    pub(crate) async fn start() -> Self {
        let (near, far) = UnixStream::pair().unwrap();
        let log = Arc::new(Log {
            calls: Mutex::default(),
            late: Semaphore::new(0),
            jobs: Mutex::default(),
        });
        let unit = unit_path("web.service");
        let far = Builder::unix_stream(far)
            .server(Guid::generate())
            .p2p()
            .serve_at(ROOT, FakeManager { log: Arc::clone(&log) })
            .serve_at(
                unit.clone(),
                FakeUnit { active: "active".to_owned(), main: 1_700_000_000_123_456 },
            )
            .serve_at(unit, FakeService)
            .build();
        let near = Builder::unix_stream(near).p2p().build();
        let (far, near) = tokio::join!(far, near);
        let manager = soon(Manager::over(near.unwrap())).await.unwrap();
        Self { manager, far: far.unwrap(), log }
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        self.log.calls.lock().unwrap().clone()
    }

    /// Changes a unit's state and signals it.
    pub(crate) async fn set_active(&self, state: &str) {
        let unit = unit_path("web.service");
        let server = self.far.object_server();
        let unit = server.interface::<_, FakeUnit>(unit).await.unwrap();
        unit.get_mut().await.active = state.to_owned();
        unit.get().await.active_state_changed(unit.signal_emitter()).await.unwrap();
    }

    /// Signals that a unit was loaded.
    pub(crate) async fn load(&self, name: &str) {
        let server = self.far.object_server();
        let manager = server.interface::<_, FakeManager>(ROOT).await.unwrap();
        let unit = path(&unit_path(name));
        FakeManager::unit_new(manager.signal_emitter(), name.to_owned(), unit).await.unwrap();
    }
}

/// Fails a test whose wait never ends.
pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), work).await.expect("the wait has no end")
}
