//! What each phase does.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::{Duration, Instant};

use archy_api::method::{Health, PackageConfigGet};
use archy_api::package::AppParams;
use archy_api::{NoParams, health};
use serde_json::Value;

use super::wish::Wish;
use super::{Done, Event, Stage, Subject};
use crate::identity::Seen;
use crate::node::{Call, Node, NodeError, must};
use crate::outcome::Fault;
use crate::phase::{Capability, Phase};

/// How long the daemon may take from its start to the end of its recovery.
const DAEMON_BACK: Duration = Duration::from_secs(120);
/// How long a node may be away after its power was cut.
const NODE_BACK: Duration = Duration::from_secs(240);
const PAUSE: Duration = Duration::from_millis(250);
/// Name of the file that is written before the update, and of the one after it.
pub(super) const BEFORE: &str = "data";
pub(super) const AFTER: &str = "after-update";

impl From<NodeError> for Fault {
    fn from(error: NodeError) -> Self {
        Self::NodeAway(error.to_string())
    }
}

impl<N: Node> Stage<'_, N> {
    /// Does a phase of an app.
    pub(super) async fn act(
        &self,
        phase: Phase,
        subject: &Subject,
        rough: bool,
    ) -> Result<Done, Fault> {
        let reach = async |wish: Wish| self.reach(subject, &wish, rough).await;
        match phase {
            Phase::Install => {
                let requests = reach(Wish::Install).await?;
                self.patiently(rough, || self.learn(subject)).await?;
                Ok(Done::after(requests))
            }
            // the check after the phase is the phase
            Phase::Reachable => Ok(Done::after(1)),
            Phase::Data => self.write_all(subject).await,
            Phase::Stop => Ok(Done::after(reach(Wish::Stop).await?)),
            Phase::Start => Ok(Done::after(reach(Wish::Start).await?)),
            Phase::Restart => Ok(Done::after(reach(Wish::Restart).await?)),
            Phase::Configure => self.configure(subject, rough).await,
            Phase::Update => {
                let requests = reach(Wish::Update).await?;
                subject.learn(|known| known.updated = true);
                Ok(Done::after(requests))
            }
            Phase::BackOut => {
                self.patiently(rough, || self.write_files(subject, AFTER)).await?;
                let requests = reach(Wish::BackOut).await?;
                subject.learn(|known| known.updated = false);
                self.patiently(rough, || self.data_of_after_is_gone(subject)).await?;
                Ok(Done::after(requests))
            }
            Phase::UninstallKeep | Phase::Uninstall => {
                Ok(Done::after(reach(Wish::Uninstall { purge: false }).await?))
            }
            Phase::Reinstall => Ok(Done::after(reach(Wish::Install).await?)),
            Phase::Purge => self.purge(subject, rough).await,
            // phases of the node
            Phase::DaemonRestart | Phase::Reboot | Phase::PowerCut => Ok(Done::default()),
        }
    }

    /// Does something on the node; after a harm the node may be away for a while.
    async fn patiently<F: Future<Output = Result<(), Fault>>>(
        &self,
        rough: bool,
        work: impl Fn() -> F,
    ) -> Result<(), Fault> {
        let end = Instant::now() + NODE_BACK;
        loop {
            match work().await {
                Err(Fault::NodeAway(_)) if rough && Instant::now() < end => {
                    tokio::time::sleep(PAUSE).await;
                }
                other => return other,
            }
        }
    }

    /// Changes a setting, sees it, and puts it back.
    async fn configure(&self, subject: &Subject, rough: bool) -> Result<Done, Fault> {
        let Some((key, value)) = subject.spec.other_setting() else {
            let reason = match subject.spec.manifest.config.is_empty() {
                true => "the manifest has no settings",
                false => "no setting has a value beside its default that could be tried",
            };
            return Ok(Done::inapplicable(reason));
        };
        let before = self.setting(subject, &key).await?;
        let mut requests = 0;
        for wished in [value, before.clone()] {
            let settings = BTreeMap::from([(key.clone(), wished.clone())]);
            requests += self.reach(subject, &Wish::Configure(settings), rough).await?;
            let now = self.setting(subject, &key).await?;
            if now != wished {
                let detail = format!("{key} is {now}, not {wished}, after it was set");
                return Err(Fault::Changed { what: "setting", detail });
            }
        }
        let mut done = Done::after(requests.max(2) - 1);
        done.notes.push(format!("setting {key}"));
        Ok(done)
    }

    async fn setting(&self, subject: &Subject, key: &str) -> Result<Value, Fault> {
        let end = Instant::now() + DAEMON_BACK;
        loop {
            let params = AppParams { id: subject.spec.id().to_owned() };
            match self.client.call::<PackageConfigGet>(params).await {
                Ok(config) => {
                    let found = config.settings.into_iter().find(|setting| setting.key == key);
                    return Ok(found.and_then(|setting| setting.value).unwrap_or(Value::Null));
                }
                Err(error) if Instant::now() >= end => {
                    return Err(Fault::DaemonAway(error.to_string()));
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// Removes an app with its data, also one that is not installed any more. After a harm that one is installed
    /// first: a request that was lost could not be told from one that was fulfilled.
    async fn purge(&self, subject: &Subject, rough: bool) -> Result<Done, Fault> {
        let mut requests = 0;
        let again = rough && self.app(subject.spec.id()).is_none();
        if again {
            requests += self.reach(subject, &Wish::Install, rough).await?;
        }
        requests += self.reach(subject, &Wish::Uninstall { purge: true }, rough).await?;
        Ok(Done::after(if again { requests.max(2) - 1 } else { requests }))
    }

    /// Something happens to the node; afterwards the daemon answers and has ended its recovery.
    pub(super) async fn happen(&self, what: Capability, subjects: &[Subject]) -> Result<(), Event> {
        let seen = Seen::ask(self.node).await.map_err(Fault::from)?;
        let before = self.containers(subjects).await?;
        let done = match what {
            Capability::DaemonRestart => self.node.restart_daemon().await,
            Capability::Reboot => self.node.reboot().await,
            Capability::PowerCut => self.node.power_cut().await,
        };
        match done {
            Err(NodeError::Incapable(reason)) => return Err(Event::Incapable(reason)),
            other => other.map_err(Fault::from)?,
        }
        self.daemon_is_back().await?;
        let now = Seen::ask(self.node).await.map_err(Fault::from)?;
        if now.machine != seen.machine {
            return Err(Fault::NodeAway("another machine came back".to_owned()).into());
        }
        let rebooted = now.boot != seen.boot;
        match (what, rebooted) {
            (Capability::DaemonRestart, false) => {
                let after = self.containers(subjects).await?;
                let touched: Vec<_> =
                    before.iter().filter(|(name, state)| after.get(*name) != Some(state)).collect();
                match touched.is_empty() {
                    true => Ok(()),
                    false => Err(Fault::Disturbed(format!("{touched:?}, now {after:?}")).into()),
                }
            }
            (Capability::DaemonRestart, true) | (_, false) => {
                let text = format!("the node's boot id says that it rebooted: {rebooted}");
                Err(Fault::NodeAway(text).into())
            }
            (_, true) => Ok(()),
        }
    }

    /// Containers of the apps that run: name to id and start.
    async fn containers(&self, subjects: &[Subject]) -> Result<BTreeMap<String, String>, Fault> {
        let format = "{{.Names}} {{.ID}}@{{.StartedAt}} {{.Label \"io.archipelago.app\"}}";
        let list = must(self.node, Call::user(["podman", "ps", "--format", format])).await?;
        let ours = |app: &str| subjects.iter().any(|subject| subject.spec.id() == app);
        let lines = list.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            let (name, state, app) = (words.next()?, words.next()?, words.next()?);
            ours(app).then(|| (name.to_owned(), state.to_owned()))
        });
        Ok(lines.collect())
    }

    /// Waits until the daemon answers and has ended its recovery.
    pub(super) async fn daemon_is_back(&self) -> Result<(), Fault> {
        let end = Instant::now() + DAEMON_BACK;
        let mut said = String::new();
        while Instant::now() < end {
            match self.client.call::<Health>(NoParams {}).await {
                Ok(health::HealthResult { crash_recovery_complete: true, .. }) => return Ok(()),
                Ok(_) => said = "its recovery does not end".to_owned(),
                Err(error) => said = error.to_string(),
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(Fault::DaemonAway(said))
    }
}
