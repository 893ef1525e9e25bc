//! The journal: every operation and its steps, written before the side effect, finished after it.
//!
//! After a crash or power cut [`Store::open_operations`] names what was under way; a step that is
//! `running` there may or may not have had its effect, so steps are idempotent.

mod model;
mod rw;

use archy_types::{AppId, Cause, OperationId, Timestamp};
use serde_json::Value;

pub(crate) use rw::{goes_back, queue};

pub use model::{NewOperation, Operation, Phase, Step, StepResult, StepState};

use crate::error::StoreError;
use crate::store::Store;

/// Most operations that one page of history has.
pub const PAGE: usize = 500;

impl Store {
    /// Journals an operation as queued; its id orders it among all others.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`] and other failures to write: the operation must then not begin.
    pub async fn queue_operation(&self, new: NewOperation) -> Result<OperationId, StoreError> {
        self.write(move |connection| rw::queue(connection, &new)).await
    }

    /// Journals the plan of an operation and its steps, before the first of them.
    ///
    /// The first time it makes the operation running. Planned again (after a restart, or because
    /// the world changed), earlier steps that were not finished become skipped and the new ones
    /// follow them. Returns the number of the first new step; the others follow on.
    ///
    /// # Errors
    /// [`StoreError::PhaseRefused`] for a finished operation, [`StoreError::NotFound`].
    pub async fn plan_operation(
        &self,
        id: OperationId,
        plan: Value,
        steps: Vec<String>,
        at: Timestamp,
    ) -> Result<u32, StoreError> {
        self.write(move |connection| rw::plan(connection, id, &plan, &steps, at)).await
    }

    /// Journals that a step begins, before its side effect.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for an unknown step, [`StoreError::PhaseRefused`] for an operation
    /// that does not run.
    pub async fn start_step(
        &self,
        id: OperationId,
        seq: u32,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(move |connection| rw::start_step(connection, id, seq, at)).await
    }

    /// Journals how a step ended, after its side effect.
    ///
    /// # Errors
    /// As [`Store::start_step`].
    pub async fn finish_step(
        &self,
        id: OperationId,
        seq: u32,
        result: StepResult,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(move |connection| rw::finish_step(connection, id, seq, &result, at)).await
    }

    /// Journals how a step ended and that the next one begins, in one commit.
    ///
    /// # Errors
    /// As [`Store::start_step`].
    pub async fn advance_step(
        &self,
        id: OperationId,
        finished: u32,
        result: StepResult,
        next: u32,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(move |connection| {
            rw::finish_step(connection, id, finished, &result, at)?;
            rw::start_step(connection, id, next, at)
        })
        .await
    }

    /// Journals that the next step begins, before its side effect, and that the one that ran before
    /// it is done, in one commit. A pending step with this description is the one that begins;
    /// without one, a new step is added. Returns its number.
    ///
    /// # Errors
    /// [`StoreError::PhaseRefused`] for an ended operation, [`StoreError::NotFound`].
    pub async fn next_step(
        &self,
        id: OperationId,
        description: &str,
        at: Timestamp,
    ) -> Result<u32, StoreError> {
        let description = description.to_owned();
        self.write(move |connection| rw::next_step(connection, id, &description, at)).await
    }

    /// Journals what came of the step that runs; it stays with it however it ends.
    ///
    /// # Errors
    /// [`StoreError::PhaseRefused`] for an ended operation, [`StoreError::NotFound`].
    pub async fn note_step(&self, id: OperationId, outcome: &str) -> Result<(), StoreError> {
        let outcome = outcome.to_owned();
        self.write(move |connection| rw::note_step(connection, id, &outcome)).await
    }

    /// Journals an operation's end. A step that is running ends with it (done when the operation
    /// is done, else failed with its cause); steps that never ran become skipped.
    ///
    /// # Errors
    /// [`StoreError::PhaseRefused`] when it has ended already or `phase` is not an end,
    /// [`StoreError::NotFound`].
    pub async fn finish_operation(
        &self,
        id: OperationId,
        phase: Phase,
        cause: Option<Cause>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(move |connection| rw::finish(connection, id, phase, cause.as_ref(), at)).await
    }

    /// One operation with its steps.
    ///
    /// # Errors
    /// [`StoreError::BadRecord`] and failures to read.
    pub async fn operation(&self, id: OperationId) -> Result<Option<Operation>, StoreError> {
        self.read(move |connection| rw::operation(connection, id)).await
    }

    /// Operations that have not ended, in the order they were queued: what a restart goes on with.
    ///
    /// # Errors
    /// [`StoreError::BadRecord`] and failures to read.
    pub async fn open_operations(&self) -> Result<Vec<Operation>, StoreError> {
        self.read(rw::open).await
    }

    /// Operations of one app or of all, newest first: at most `limit` (and [`PAGE`]) of those
    /// before `before`. The last id of a page is the next page's `before`.
    ///
    /// # Errors
    /// [`StoreError::BadRecord`] and failures to read.
    pub async fn history(
        &self,
        app: Option<&AppId>,
        before: Option<OperationId>,
        limit: usize,
    ) -> Result<Vec<Operation>, StoreError> {
        let app = app.cloned();
        self.read(move |connection| rw::history(connection, app.as_ref(), before, limit.min(PAGE)))
            .await
    }

    /// Forgets ended operations beyond the newest `keep` of each app; says how many.
    ///
    /// # Errors
    /// Failures to write.
    pub async fn prune_journal(&self, keep: usize) -> Result<usize, StoreError> {
        self.write(move |connection| rw::prune(connection, keep)).await
    }
}
