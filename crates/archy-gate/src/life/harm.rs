//! Doing harm, and seeing that it was healed.

use std::time::{Duration, Instant};

use super::{Stage, Subject, deployed};
use crate::chaos::{Harm, Kind};
use crate::node::{Call, Node, NodeError, must};
use crate::outcome::{Fault, HarmRecord};
use crate::phase::PhaseInfo;

/// What an edited unit file says.
const MARK: &str = "ARCHY_GATE_DRIFT";
/// How long the daemon may take to mend a unit file: its level pass is due every 30 s.
const HEALING: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_secs(1);

impl<N: Node> Stage<'_, N> {
    /// Does one harm at its time.
    pub(super) async fn harm(
        &self,
        harm: &Harm,
        subjects: &[Subject],
        began: Instant,
    ) -> HarmRecord {
        let due = Duration::from_millis(harm.after_millis);
        tokio::time::sleep(due.saturating_sub(began.elapsed())).await;
        let subject = subjects.get(harm.app).filter(|_| harm.kind.is_of_an_app());
        let (bit, note) = match self.strike(harm, subject).await {
            Ok(Strike::Hit(what)) => (true, what),
            Ok(Strike::Missed(why)) => (false, why),
            Err(error) => (false, error.to_string()),
        };
        let app = subject.map(|subject| subject.spec.id().to_owned());
        let whom = app.as_deref().unwrap_or("the node");
        (self.tell)(&format!("    harm: {} of {whom}: {note}", harm.kind.word()));
        HarmRecord {
            phase: harm.phase,
            kind: harm.kind,
            app,
            after_millis: harm.after_millis,
            note,
            bit,
        }
    }

    async fn strike(&self, harm: &Harm, subject: Option<&Subject>) -> Result<Strike, NodeError> {
        match (harm.kind, subject) {
            (Kind::KillDaemon, _) => {
                let argv = ["systemctl", "show", "-p", "MainPID", "--value", "archipelago.service"];
                self.signal(&argv, "KILL").await
            }
            (Kind::CutPower, _) => {
                self.node.power_cut().await?;
                Ok(Strike::Hit("power cut and boot".to_owned()))
            }
            (Kind::FreezePodman, _) => self.freeze(harm).await,
            (kind, Some(subject)) => self.strike_app(kind, harm, subject).await,
            (_, None) => Ok(Strike::Missed("there is no such app".to_owned())),
        }
    }

    async fn strike_app(
        &self,
        kind: Kind,
        harm: &Harm,
        subject: &Subject,
    ) -> Result<Strike, NodeError> {
        let containers: Vec<String> = Self::container_names(subject).into_values().collect();
        let index = harm.pick % containers.len().max(1);
        let Some(container) = containers.get(index) else {
            return Ok(Strike::Missed("the app has no container".to_owned()));
        };
        let unit = self.unit(container);
        // after the section's head, so that it is part of the container
        let edit = format!("s/^\\[Container\\]$/&\\nEnvironment={MARK}=1/");
        let argv: Vec<&str> = match kind {
            Kind::KillContainer => vec!["podman", "kill", "-s", "KILL", container],
            Kind::EditUnit => vec!["sed", "-i", "-e", &edit, &unit],
            _ => vec!["rm", "--", &unit],
        };
        let output = self.node.exec(Call::user(&argv)).await?;
        Ok(match output.ok() {
            true => Strike::Hit(container.clone()),
            false => Strike::Missed(format!("{container}: {}", output.said())),
        })
    }

    fn unit(&self, container: &str) -> String {
        format!("{}/{container}.container", self.info.unit_dir)
    }

    /// Sends a signal to the process whose number a command prints.
    async fn signal(&self, show: &[&str], signal: &str) -> Result<Strike, NodeError> {
        let pid = must(self.node, Call::user(show)).await?.stdout.trim().to_owned();
        if pid.is_empty() || pid == "0" {
            return Ok(Strike::Missed("it does not run at this moment".to_owned()));
        }
        let output = self.node.exec(Call::user(["kill", "-s", signal, &pid])).await?;
        Ok(match output.ok() {
            true => Strike::Hit(format!("process {pid}")),
            false => Strike::Missed(output.said()),
        })
    }

    async fn freeze(&self, harm: &Harm) -> Result<Strike, NodeError> {
        let show = ["systemctl", "--user", "show", "-p", "MainPID", "--value", "podman.service"];
        let frozen = self.signal(&show, "STOP").await?;
        let Strike::Hit(process) = frozen else { return Ok(frozen) };
        tokio::time::sleep(Duration::from_millis(harm.for_millis)).await;
        let thawed = self.signal(&show, "CONT").await?;
        Ok(match thawed {
            Strike::Hit(_) => Strike::Hit(format!(
                "{process} for {:.1} s",
                Duration::from_millis(harm.for_millis).as_secs_f64()
            )),
            // systemd ended it meanwhile
            Strike::Missed(why) => Strike::Hit(format!("{process}, gone before its end ({why})")),
        })
    }

    /// Unit files that were harmed are mended, or gone with their app.
    pub(super) async fn healed(
        &self,
        records: &[HarmRecord],
        subjects: &[Subject],
        info: &PhaseInfo,
    ) {
        for record in records {
            let of_unit = matches!(record.kind, Kind::EditUnit | Kind::DeleteUnit);
            let subject = subjects.iter().find(|s| record.app.as_deref() == Some(s.spec.id()));
            let (true, true, Some(subject)) = (of_unit, record.bit, subject) else { continue };
            if subject.known().given_up.is_some() {
                continue;
            }
            if let Err(fault) = self.unit_is_whole(&record.note, subject, info).await {
                (self.tell)(&format!("    {}: {}: {fault}", subject.spec.id(), info.name));
                subject.amend(info.phase, &fault);
            }
        }
    }

    async fn unit_is_whole(
        &self,
        container: &str,
        subject: &Subject,
        info: &PhaseInfo,
    ) -> Result<(), Fault> {
        let unit = self.unit(container);
        let end = Instant::now() + HEALING;
        loop {
            let output = self.node.exec(Call::user(["cat", "--", &unit])).await?;
            let whole = match output.ok() {
                true => deployed(info.ending) && !output.stdout.contains(MARK),
                false => !deployed(info.ending),
            };
            if whole {
                break;
            }
            if Instant::now() >= end {
                let detail = format!("{unit} is not as it was: {}", output.said());
                return Err(Fault::Changed { what: "a unit file", detail });
            }
            tokio::time::sleep(PAUSE).await;
        }
        // what the healing restarted is as it was before the next phase
        self.holds(info, subject).await
    }
}

/// What became of a harm.
enum Strike {
    /// It hit this.
    Hit(String),
    /// It hit nothing.
    Missed(String),
}
