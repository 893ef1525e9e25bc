//! The ledger of a simulation: every write is first in memory, then on the disk, then answered.

use std::collections::BTreeMap;
use std::sync::Arc;

use archy_engine::ports::{Ending, Ledger, OpenOperation, Previous};
use archy_manifest::Manifest;
use archy_plan::{DesiredApp, Plan};
use archy_types::{Actor, AppId, Cause, OperationId, Timestamp, UserError};

use super::disk::Writeback;
use super::{Class, Gate, Moment, Sim};
use crate::model::Fault;

/// The ledger of one run of the daemon.
#[derive(Debug, Clone)]
pub struct SimLedger {
    sim: Sim,
    life: u64,
}

impl SimLedger {
    pub(super) const fn new(sim: Sim, life: u64) -> Self {
        Self { sim, life }
    }

    async fn pass(&self, moment: Moment, text: &str) -> Result<(), UserError> {
        match self.sim.gate(self.life, Class::Journal, moment, text) {
            Gate::Go => Ok(()),
            Gate::Never => std::future::pending().await,
            Gate::Fail => Err(full()),
        }
    }

    /// One transaction.
    async fn write<T>(
        &self,
        text: String,
        work: impl Future<Output = Result<T, UserError>>,
    ) -> Result<T, UserError> {
        self.write_and(text, work, Writeback::synced).await
    }

    async fn write_and<T>(
        &self,
        text: String,
        work: impl Future<Output = Result<T, UserError>>,
        synced: fn(&mut Writeback),
    ) -> Result<T, UserError> {
        self.pass(Moment::Before, &text).await?;
        self.sim.take_time(4).await;
        self.pass(Moment::Amid, &text).await?;
        if self.sim.model().broken(&Fault::DiskFull) {
            return Err(full());
        }
        let done = work.await?;
        self.pass(Moment::Amid, &text).await?;
        {
            let mut state = self.sim.state();
            state.durable = self.sim.books().clone();
            synced(&mut state.writeback);
        }
        self.pass(Moment::After, &text).await?;
        Ok(done)
    }

    /// An operation that has ended takes no more notes, as in the store.
    fn refuse_ended(&self, operation: OperationId) -> Result<(), UserError> {
        let books = self.sim.books();
        let index = usize::try_from(operation.0 - 1).unwrap_or(usize::MAX);
        match books.operations.get(index) {
            Some(entry) if entry.ending.is_none() => Ok(()),
            _ => Err(UserError::new("phase-refused", format!("Operation {operation} has ended."))),
        }
    }
}

fn full() -> UserError {
    UserError::new("disk-full", "The disk is full.").hint("Free some space.")
}

impl Ledger for SimLedger {
    async fn load(&self) -> Result<Vec<DesiredApp>, UserError> {
        self.sim.books.load().await
    }

    async fn accept(
        &self,
        app: &DesiredApp,
        text: Option<&[u8]>,
        kind: &str,
        now: Timestamp,
    ) -> Result<OperationId, UserError> {
        let line = format!(
            "journal: accept {kind} of {} (generation {}, {:?})",
            app.manifest.id, app.generation, app.state
        );
        self.write(line, self.sim.books.accept(app, text, kind, now)).await
    }

    async fn previous(&self) -> Result<Vec<Previous>, UserError> {
        self.sim.books.previous().await
    }

    async fn former(&self, app: &AppId) -> Result<Vec<Arc<Manifest>>, UserError> {
        self.sim.books.former(app).await
    }

    async fn forget_previous(&self, app: &AppId) -> Result<(), UserError> {
        let line = format!("journal: forget what {app} was");
        self.write(line, self.sim.books.forget_previous(app)).await
    }

    async fn turn_back(
        &self,
        operation: OperationId,
        app: &DesiredApp,
        error: &UserError,
    ) -> Result<(), UserError> {
        self.refuse_ended(operation)?;
        let line = format!(
            "journal: {operation} turns back to generation {} of {}",
            app.generation, app.manifest.id
        );
        self.write(line, self.sim.books.turn_back(operation, app, error)).await
    }

    async fn forget(&self, app: &AppId) -> Result<(), UserError> {
        // the last word on an app: what came back after it would stay for ever
        let (line, work) = (format!("journal: forget {app}"), self.sim.books.forget(app));
        self.write_and(line, work, Writeback::all_synced).await
    }

    async fn open(
        &self,
        app: &AppId,
        kind: &str,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<OperationId, UserError> {
        let line = format!("journal: open {kind} of {app}");
        self.write(line, self.sim.books.open(app, kind, actor, now)).await
    }

    async fn planned(
        &self,
        operation: OperationId,
        plan: &Plan,
        now: Timestamp,
    ) -> Result<(), UserError> {
        self.refuse_ended(operation)?;
        let line = format!("journal: {operation} plans {} steps", plan.steps.len());
        self.write(line, self.sim.books.planned(operation, plan, now)).await
    }

    async fn step(
        &self,
        operation: OperationId,
        seq: u32,
        text: &str,
        now: Timestamp,
    ) -> Result<(), UserError> {
        self.refuse_ended(operation)?;
        let line = format!("journal: {operation} begins {seq}. {text}");
        self.write(line, self.sim.books.step(operation, seq, text, now)).await
    }

    async fn said(&self, operation: OperationId, text: &str) -> Result<(), UserError> {
        let line = format!("journal: what a step of {operation} said");
        self.write(line, self.sim.books.said(operation, text)).await
    }

    async fn away_secs(&self, app: &AppId) -> Result<Option<u32>, UserError> {
        self.sim.books.away_secs(app).await
    }

    async fn hooked(&self) -> Result<BTreeMap<AppId, BTreeMap<String, String>>, UserError> {
        self.sim.books.hooked().await
    }

    async fn note_hooked(
        &self,
        app: &AppId,
        containers: &BTreeMap<String, String>,
    ) -> Result<(), UserError> {
        let line = format!("journal: hooks of {app} have run");
        self.write(line, self.sim.books.note_hooked(app, containers)).await
    }

    async fn finish(
        &self,
        operation: OperationId,
        ending: &Ending,
        now: Timestamp,
    ) -> Result<(), UserError> {
        self.refuse_ended(operation)?;
        let line = format!("journal: {operation} ends: {ending:?}");
        self.write(line, self.sim.books.finish(operation, ending, now)).await
    }

    async fn open_operations(&self) -> Result<Vec<OpenOperation>, UserError> {
        self.sim.books.open_operations().await
    }

    async fn event(
        &self,
        app: &AppId,
        cause: &Cause,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<(), UserError> {
        let line = format!("journal: {app}: {}", cause.code);
        self.write(line, self.sim.books.event(app, cause, actor, now)).await
    }
}
