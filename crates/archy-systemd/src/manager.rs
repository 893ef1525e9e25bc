//! The manager's client: units, jobs, reload.

use std::{collections::BTreeSet, future::Future, num::NonZeroUsize, sync::Arc, time::Duration};

use futures_util::future::try_join_all;
use tokio::{sync::broadcast, task::JoinHandle};
use zbus::{
    Connection, MatchRule, MessageStream, OwnedObjectPath, OwnedVariant, message::Type,
    proxy::CacheProperties,
};

use crate::{
    SystemdError,
    change::{Change, Changes, read_signals},
    job::{JobResult, JobTable},
    name::unit_path,
    proxy::{MANAGER, ManagerProxy, ROOT, SERVICE, SERVICE_UNIT, UNIT, UnitRow},
    reload::Merged,
    status::{ActiveState, SystemState, UnitStatus, UnitUsage, counted, micros},
};

/// Deadline of a call when none is given with [`Manager::within`].
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(30);

/// Signals that may wait for the reader, and hints that may wait for a watcher.
const QUEUE: usize = 1024;
/// Units whose properties are asked for at the same time.
const PARALLEL: usize = 16;

/// Client of one user manager. Clones share the connection, which ends with the last of them.
#[derive(Debug, Clone)]
pub struct Manager {
    shared: Arc<Shared>,
    deadline: Duration,
}

#[derive(Debug)]
struct Shared {
    connection: Connection,
    proxy: ManagerProxy<'static>,
    jobs: Arc<JobTable>,
    hints: broadcast::WeakSender<Change>,
    reload: Merged,
    reader: JoinHandle<()>,
}

/// A row of the list of units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitSummary {
    /// Name.
    pub unit: String,
    /// `loaded`, `not-found`, ….
    pub load: String,
    /// Active state.
    pub active: ActiveState,
    /// Sub state.
    pub sub: String,
    /// Kind of the job that waits or runs: `start`, `stop`, …; `None` without one.
    pub job: Option<String>,
}

/// Which processes of a unit get a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KillWhom {
    /// The main process.
    Main,
    /// All of the unit's processes.
    All,
}

#[derive(Debug, Clone, Copy)]
enum Verb {
    Start,
    Stop,
    Restart,
}

// === impl Manager ===

impl Manager {
    /// Connects to a bus, for example `unix:path=/run/user/1000/bus`, as the current user.
    ///
    /// # Errors
    /// The bus cannot be reached within `deadline`, or no manager is on it.
    pub async fn connect(address: &str, deadline: Duration) -> Result<Self, SystemdError> {
        let unreachable =
            |source| SystemdError::Unreachable { address: address.to_owned(), source };
        timed(&format!("connecting to {address}"), deadline, async {
            let builder = zbus::connection::Builder::address(address);
            let connection = builder.build().await.map_err(unreachable)?;
            Self::setup(connection).await.map_err(unreachable)
        })
        .await
    }

    /// Uses a connection that exists.
    ///
    /// # Errors
    /// No manager is at its other end.
    pub async fn over(connection: Connection) -> Result<Self, SystemdError> {
        Self::setup(connection).await.map_err(|source| SystemdError::Unreachable {
            address: "the given connection".to_owned(),
            source,
        })
    }

    /// Opens the signals before the first call, so that no job's end is missed.
    async fn setup(connection: Connection) -> zbus::Result<Self> {
        let rule = MatchRule::builder()
            .msg_type(Type::Signal)
            .sender(SERVICE)
            .path_namespace(ROOT)
            .build()?;
        let stream =
            MessageStream::for_match_rule(rule, &connection, NonZeroUsize::new(QUEUE)).await?;
        let proxy = ManagerProxy::builder(&connection)
            .cache_properties(CacheProperties::No)
            .build()
            .await?;
        proxy.subscribe().await?;
        let jobs = Arc::new(JobTable::default());
        let (sender, _) = broadcast::channel(QUEUE);
        let hints = sender.downgrade();
        let reader = tokio::spawn(read_signals(stream, Arc::clone(&jobs), sender));
        let reload = Merged::default();
        let shared = Shared { connection, proxy, jobs, hints, reload, reader };
        Ok(Self { shared: Arc::new(shared), deadline: DEFAULT_DEADLINE })
    }

    /// The same client with another deadline for each call. Of starts and stops it covers the job
    /// too, so it must be longer than the unit's own limits.
    #[must_use]
    pub fn within(&self, deadline: Duration) -> Self {
        Self { shared: Arc::clone(&self.shared), deadline }
    }

    /// Hints from now on. Ends when the connection does.
    #[must_use]
    pub fn changes(&self) -> Changes {
        let receiver = match self.shared.hints.upgrade() {
            Some(sender) => sender.subscribe(),
            // the connection ended: a channel without sender ends at once
            None => broadcast::channel(1).1,
        };
        Changes::new(receiver)
    }

    /// Waits until the connection has ended. Connect anew then.
    pub async fn closed(&self) {
        self.shared.connection.closed().await;
    }

    /// True when the connection has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.connection.is_closed()
    }

    /// Loaded units whose names fit one of the shell patterns (`web*.service`). Units that are
    /// neither active nor referred to are not loaded: ask for them with [`Self::unit`].
    ///
    /// # Errors
    /// Those of every call.
    pub async fn list_units(&self, patterns: &[&str]) -> Result<Vec<UnitSummary>, SystemdError> {
        let op = "listing units";
        let rows =
            self.call(op, None, self.shared.proxy.list_units_by_patterns(&[], patterns)).await?;
        Ok(rows
            .into_iter()
            .map(|(unit, _, load, active, sub, _, _, job_id, job, _): UnitRow| UnitSummary {
                unit,
                load,
                active: ActiveState::parse(&active),
                sub,
                job: (job_id != 0).then_some(job),
            })
            .collect())
    }

    /// A unit in detail. One that does not exist is `not-found` and inactive.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn unit(&self, unit: &str) -> Result<UnitStatus, SystemdError> {
        self.call(&format!("reading {unit}"), Some(unit), self.read_unit(unit)).await
    }

    /// Several units in detail, in no order, under one deadline. Of a unit that systemd does not
    /// hold in memory there is nothing more to know than whether it exists: each question would
    /// load it anew.
    ///
    /// # Errors
    /// Those of every call; one failure fails all.
    pub async fn units<S: AsRef<str>>(&self, units: &[S]) -> Result<Vec<UnitStatus>, SystemdError> {
        let names: Vec<&str> = units.iter().map(AsRef::as_ref).collect();
        let work = async {
            let proxy = &self.shared.proxy;
            // a name is a pattern that only it fits
            let held = proxy.list_units_by_patterns(&[], &names).await?;
            let mut all: Vec<UnitStatus> = held.into_iter().map(of_row).collect();
            for chunk in all.chunks_mut(PARALLEL) {
                try_join_all(chunk.iter_mut().map(|status| self.read_details(status))).await?;
            }
            let known: BTreeSet<&str> = all.iter().map(|status| status.unit.as_str()).collect();
            let others: Vec<&str> =
                names.iter().copied().filter(|name| !known.contains(name)).collect();
            if !others.is_empty() {
                let rows = proxy.list_units_by_names(&others).await?;
                all.extend(rows.into_iter().map(of_row));
            }
            Ok(all)
        };
        self.call("reading units", None, work).await
    }

    /// What a service uses.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn usage(&self, unit: &str) -> Result<UnitUsage, SystemdError> {
        let work = async {
            let path = unit_path(unit);
            let memory = self.property::<u64>(&path, SERVICE_UNIT, "MemoryCurrent");
            let cpu = self.property::<u64>(&path, SERVICE_UNIT, "CPUUsageNSec");
            let (memory, cpu) = tokio::try_join!(memory, cpu)?;
            Ok(UnitUsage { memory: counted(memory), cpu_nanos: counted(cpu) })
        };
        self.call(&format!("measuring {unit}"), Some(unit), work).await
    }

    /// Starts a unit and waits for the job's end. With `Type=notify` that is when it is ready;
    /// with other types it may be before.
    ///
    /// # Errors
    /// Those of every call; a job that fails is a [`JobResult`], not an error.
    pub async fn start(&self, unit: &str) -> Result<JobResult, SystemdError> {
        self.job(Verb::Start, unit).await
    }

    /// Stops a unit and waits for the job's end.
    ///
    /// # Errors
    /// Those of [`Self::start`]; [`SystemdError::NoSuchUnit`] when it is not loaded.
    pub async fn stop(&self, unit: &str) -> Result<JobResult, SystemdError> {
        self.job(Verb::Stop, unit).await
    }

    /// Restarts a unit and waits for the job's end.
    ///
    /// # Errors
    /// Those of [`Self::start`].
    pub async fn restart(&self, unit: &str) -> Result<JobResult, SystemdError> {
        self.job(Verb::Restart, unit).await
    }

    /// Takes back a unit's failed state and its start limit. False when it is not loaded.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn reset_failed(&self, unit: &str) -> Result<bool, SystemdError> {
        let op = format!("reset-failed of {unit}");
        match self.call(&op, Some(unit), self.shared.proxy.reset_failed_unit(unit)).await {
            Ok(()) => Ok(true),
            Err(SystemdError::NoSuchUnit { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Sends a signal to a unit's processes.
    ///
    /// # Errors
    /// Those of every call; refused when there is no such process.
    pub async fn kill(&self, unit: &str, whom: KillWhom, signal: i32) -> Result<(), SystemdError> {
        let word = match whom {
            KillWhom::Main => "main",
            KillWhom::All => "all",
        };
        let op = format!("kill of {unit}");
        self.call(&op, Some(unit), self.shared.proxy.kill_unit(unit, word, signal)).await
    }

    /// Makes the manager run its generators and read its files. Calls that come while one runs
    /// share the next run. The deadline begins when this call's run does.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn reload(&self) -> Result<(), SystemdError> {
        let run = || self.call("daemon-reload", None, self.shared.proxy.reload());
        self.shared.reload.run(run).await
    }

    /// The state of the manager as a whole.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn system_state(&self) -> Result<SystemState, SystemdError> {
        let read = self.property::<String>(ROOT, MANAGER, "SystemState");
        let word = self.call("reading the manager's state", None, read).await?;
        Ok(SystemState::parse(&word))
    }

    /// How long a service may take to stop before it is killed; `None` for ever. The unit must be
    /// loaded.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn stop_limit(&self, unit: &str) -> Result<Option<Duration>, SystemdError> {
        let path = unit_path(unit);
        let read = self.property::<u64>(&path, SERVICE_UNIT, "TimeoutStopUSec");
        let micros = self.call(&format!("reading {unit}"), Some(unit), read).await?;
        Ok(counted(micros).map(Duration::from_micros))
    }

    /// systemd's version, for example `257.13-1~deb13u1`.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn version(&self) -> Result<String, SystemdError> {
        let read = self.property::<String>(ROOT, MANAGER, "Version");
        self.call("reading the manager's version", None, read).await
    }

    async fn job(&self, verb: Verb, unit: &str) -> Result<JobResult, SystemdError> {
        let proxy = &self.shared.proxy;
        let op = match verb {
            Verb::Start => format!("start of {unit}"),
            Verb::Stop => format!("stop of {unit}"),
            Verb::Restart => format!("restart of {unit}"),
        };
        let claim = self.shared.jobs.claim();
        timed(&op, self.deadline, async {
            let made: zbus::Result<OwnedObjectPath> = match verb {
                Verb::Start => proxy.start_unit(unit, "replace").await,
                Verb::Stop => proxy.stop_unit(unit, "replace").await,
                Verb::Restart => proxy.restart_unit(unit, "replace").await,
            };
            let job = made.map_err(|e| SystemdError::from_bus(op.clone(), Some(unit), e))?;
            let result = claim.result_of(job.as_str());
            result.await.map_err(|_| SystemdError::Lost { op: op.clone() })
        })
        .await
    }

    async fn call<T>(
        &self,
        op: &str,
        unit: Option<&str>,
        work: impl Future<Output = zbus::Result<T>>,
    ) -> Result<T, SystemdError> {
        timed(op, self.deadline, async {
            work.await.map_err(|e| SystemdError::from_bus(op.to_owned(), unit, e))
        })
        .await
    }

    async fn read_unit(&self, unit: &str) -> zbus::Result<UnitStatus> {
        let path = unit_path(unit);
        let text = |name| self.property::<String>(&path, UNIT, name);
        let (load, active, sub) =
            tokio::try_join!(text("LoadState"), text("ActiveState"), text("SubState"))?;
        let active = ActiveState::parse(&active);
        let unit = unit.to_owned();
        let mut status = UnitStatus { unit, load, active, sub, ..UnitStatus::default() };
        self.read_details(&mut status).await?;
        Ok(status)
    }

    /// What the list of units does not tell.
    async fn read_details(&self, status: &mut UnitStatus) -> zbus::Result<()> {
        let path = unit_path(&status.unit);
        let time = |name| self.property::<u64>(&path, UNIT, name);
        let (up, down) =
            tokio::try_join!(time("ActiveEnterTimestamp"), time("InactiveEnterTimestamp"))?;
        (status.active_since, status.inactive_since) = (micros(up), micros(down));
        if status.unit.ends_with(".service") {
            let number = |name| self.property::<i32>(&path, SERVICE_UNIT, name);
            (status.result, status.exit_code, status.exit_status, status.restarts) = tokio::try_join!(
                self.property::<String>(&path, SERVICE_UNIT, "Result"),
                number("ExecMainCode"),
                number("ExecMainStatus"),
                self.property::<u32>(&path, SERVICE_UNIT, "NRestarts"),
            )?;
        }
        Ok(())
    }

    /// One property. All of an interface at once would be ten times the bytes.
    async fn property<T>(&self, path: &str, interface: &str, name: &str) -> zbus::Result<T>
    where
        T: TryFrom<OwnedVariant>,
        T::Error: Into<zbus::Error>,
    {
        let properties = Some("org.freedesktop.DBus.Properties");
        let connection = &self.shared.connection;
        let answer = connection
            .call_method(Some(SERVICE), path, properties, "Get", &(interface, name))
            .await?;
        let value: OwnedVariant = answer.body().deserialize()?;
        T::try_from(value).map_err(Into::into)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// A row of the list, as far as it tells.
fn of_row((unit, _, load, active, sub, _, _, _, job, _): UnitRow) -> UnitStatus {
    let active = ActiveState::parse(&active).with_job(&job);
    UnitStatus { unit, load, active, sub, ..UnitStatus::default() }
}

/// Runs `work` under a deadline.
async fn timed<T>(
    op: &str,
    after: Duration,
    work: impl Future<Output = Result<T, SystemdError>>,
) -> Result<T, SystemdError> {
    match tokio::time::timeout(after, work).await {
        Ok(result) => result,
        Err(_) => Err(SystemdError::Timeout { op: op.to_owned(), after }),
    }
}
