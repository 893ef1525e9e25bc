//! A ledger in memory that outlives an engine, for crash tests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use archy_engine::ports::{Ending, Ledger, OpenOperation, Previous};
use archy_manifest::Manifest;
use archy_plan::{DesiredApp, Plan};
use archy_types::{Actor, AppId, Cause, Digest, OperationId, Timestamp, UserError};

/// One operation as noted.
#[derive(Debug, Clone)]
pub struct Entry {
    /// App.
    pub app: AppId,
    /// Kind.
    pub kind: String,
    /// Who asked.
    pub actor: Actor,
    /// When.
    pub started: Timestamp,
    /// Steps that were planned, of all rounds.
    pub planned: Vec<String>,
    /// Steps that were begun.
    pub steps: Vec<String>,
    /// When they were begun, and at last when the operation ended.
    pub times: Vec<Timestamp>,
    /// What programs said in its steps.
    pub said: Vec<String>,
    /// How it ended.
    pub ending: Option<Ending>,
    /// Why it goes back to what was before it.
    pub back: Option<UserError>,
}

/// What the ledger holds.
#[derive(Debug, Default, Clone)]
pub struct Books {
    /// Desired state.
    pub apps: BTreeMap<AppId, DesiredApp>,
    /// What apps were before their last updates.
    pub previous: BTreeMap<AppId, Previous>,
    /// Manifests that apps were ever accepted with.
    pub manifests: BTreeMap<Digest, Arc<Manifest>>,
    /// Containers in which hooks ran, by app.
    pub hooked: BTreeMap<AppId, BTreeMap<String, String>>,
    /// Operations; the id is the index plus one.
    pub operations: Vec<Entry>,
    /// Events.
    pub events: Vec<(AppId, Cause)>,
}

/// A ledger in memory. Cheap to clone; clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemoryLedger {
    books: Arc<Mutex<Books>>,
}

impl MemoryLedger {
    /// The books.
    pub fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    fn add(&mut self, app: &AppId, kind: &str, actor: &Actor, now: Timestamp) -> OperationId {
        self.operations.push(Entry {
            app: app.clone(),
            kind: kind.to_owned(),
            actor: actor.clone(),
            started: now,
            planned: Vec::new(),
            steps: Vec::new(),
            times: Vec::new(),
            said: Vec::new(),
            ending: None,
            back: None,
        });
        OperationId(i64::try_from(self.operations.len()).unwrap_or(i64::MAX))
    }

    fn operation(&mut self, id: OperationId) -> Option<&mut Entry> {
        self.operations.get_mut(usize::try_from(id.0 - 1).ok()?)
    }
}

impl Ledger for MemoryLedger {
    async fn load(&self) -> Result<Vec<DesiredApp>, UserError> {
        Ok(self.books().apps.values().cloned().collect())
    }

    async fn accept(
        &self,
        app: &DesiredApp,
        _: Option<&[u8]>,
        kind: &str,
        now: Timestamp,
    ) -> Result<OperationId, UserError> {
        let mut books = self.books();
        let id = app.manifest.id.clone();
        if books.apps.get(&id).is_some_and(|old| old.generation >= app.generation) {
            return Err(UserError::new("generation-stale", "An older wish was refused."));
        }
        books.manifests.insert(app.digest, app.manifest.clone());
        let before = books.apps.insert(id.clone(), app.clone());
        match (kind, before) {
            ("update", Some(before)) => {
                let (replaced_by, replaced) = (app.generation, now);
                let previous = Previous { app: before, replaced_by, replaced };
                books.previous.insert(id.clone(), previous);
            }
            ("rollback", _) => drop(books.previous.remove(&id)),
            _ => {}
        }
        Ok(books.add(&id, kind, &app.actor, now))
    }

    async fn forget(&self, app: &AppId) -> Result<(), UserError> {
        let mut books = self.books();
        books.apps.remove(app);
        books.previous.remove(app);
        books.hooked.remove(app);
        Ok(())
    }

    async fn said(&self, operation: OperationId, text: &str) -> Result<(), UserError> {
        if let Some(entry) = self.books().operation(operation) {
            entry.said.push(text.to_owned());
        }
        Ok(())
    }

    async fn away_secs(&self, app: &AppId) -> Result<Option<u32>, UserError> {
        let books = self.books();
        let own = books.operations.iter().rev().filter(|entry| entry.app == *app);
        let mut away = own.filter(|entry| entry.ending == Some(Ending::Done)).map(|entry| {
            let ends = entry.times.iter().skip(1);
            let times = entry.times.iter().zip(ends);
            let steps = entry.steps.iter().zip(times);
            let steps: Vec<_> =
                steps.map(|(text, (from, to))| (text.as_str(), *from, *to)).collect();
            archy_plan::away(&steps)
        });
        Ok(away.find_map(|secs| secs))
    }

    async fn hooked(&self) -> Result<BTreeMap<AppId, BTreeMap<String, String>>, UserError> {
        Ok(self.books().hooked.clone())
    }

    async fn note_hooked(
        &self,
        app: &AppId,
        containers: &BTreeMap<String, String>,
    ) -> Result<(), UserError> {
        self.books().hooked.insert(app.clone(), containers.clone());
        Ok(())
    }

    async fn former(&self, app: &AppId) -> Result<Vec<Arc<Manifest>>, UserError> {
        let books = self.books();
        Ok(books.manifests.values().filter(|manifest| manifest.id == *app).cloned().collect())
    }

    async fn previous(&self) -> Result<Vec<Previous>, UserError> {
        Ok(self.books().previous.values().cloned().collect())
    }

    async fn forget_previous(&self, app: &AppId) -> Result<(), UserError> {
        self.books().previous.remove(app);
        Ok(())
    }

    async fn turn_back(
        &self,
        operation: OperationId,
        app: &DesiredApp,
        error: &UserError,
    ) -> Result<(), UserError> {
        let mut books = self.books();
        let id = app.manifest.id.clone();
        if books.apps.get(&id).is_some_and(|old| old.generation >= app.generation) {
            return Err(UserError::new("generation-stale", "An older wish was refused."));
        }
        books.apps.insert(id.clone(), app.clone());
        books.previous.remove(&id);
        if let Some(entry) = books.operation(operation) {
            entry.back = Some(error.clone());
        }
        Ok(())
    }

    async fn open(
        &self,
        app: &AppId,
        kind: &str,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<OperationId, UserError> {
        Ok(self.books().add(app, kind, actor, now))
    }

    async fn planned(
        &self,
        operation: OperationId,
        plan: &Plan,
        _: Timestamp,
    ) -> Result<(), UserError> {
        if let Some(entry) = self.books().operation(operation) {
            let steps = plan.steps.iter().map(|planned| archy_plan::describe(&planned.step));
            entry.planned.extend(steps);
        }
        Ok(())
    }

    async fn step(
        &self,
        operation: OperationId,
        _: u32,
        text: &str,
        now: Timestamp,
    ) -> Result<(), UserError> {
        // a crash may come between any two steps
        tokio::task::yield_now().await;
        if let Some(entry) = self.books().operation(operation) {
            entry.steps.push(text.to_owned());
            entry.times.push(now);
        }
        Ok(())
    }

    async fn finish(
        &self,
        operation: OperationId,
        ending: &Ending,
        now: Timestamp,
    ) -> Result<(), UserError> {
        if let Some(entry) = self.books().operation(operation) {
            entry.times.push(now);
            entry.ending = Some(ending.clone());
        }
        Ok(())
    }

    async fn open_operations(&self) -> Result<Vec<OpenOperation>, UserError> {
        let books = self.books();
        let open = books.operations.iter().zip(1..).filter(|(entry, _)| entry.ending.is_none());
        Ok(open
            .map(|(entry, id)| OpenOperation {
                id: OperationId(id),
                app: entry.app.clone(),
                kind: entry.kind.clone(),
                actor: entry.actor.clone(),
                started: entry.started,
                back: entry.back.clone(),
            })
            .collect())
    }

    async fn event(
        &self,
        app: &AppId,
        cause: &Cause,
        _: &Actor,
        _: Timestamp,
    ) -> Result<(), UserError> {
        self.books().events.push((app.clone(), cause.clone()));
        Ok(())
    }
}
