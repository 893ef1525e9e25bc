//! The threads that own the connections: one that writes, a few that read.
//!
//! Jobs that wait while a transaction is being committed share the next one: each runs in its own
//! savepoint, so that one job's refusal undoes nothing of its neighbours, and all are answered only
//! after the commit is on the disk.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{LAST_GOOD, copy, open};
use crate::error::StoreError;

/// Most jobs that share one commit.
const BATCH: usize = 64;
/// Commits after which a last good copy is due although the writer is never idle.
const BUSY_COMMITS: u32 = 2_000;

/// A fault inside a job, before the file it is about is known.
#[derive(Debug)]
pub(crate) enum Fault {
    /// From SQLite.
    Sql(rusqlite::Error),
    /// The store's own refusal.
    Store(StoreError),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Fault {
    /// As an error of the database at `path`.
    pub(crate) fn of(self, path: &Path) -> StoreError {
        match self {
            Self::Sql(error) => StoreError::sqlite(path, &error),
            Self::Store(error) => error,
        }
    }
}

/// What runs on the writer thread once a job's value is committed.
pub(crate) type After<T> = Box<dyn FnOnce(&T) + Send>;

/// Tells the waiting caller how the commit went.
type Answer = Box<dyn FnOnce(Result<(), StoreError>)>;
/// Runs with the connection, or is told why there is none; says whether it was refused.
type WriteJob =
    Box<dyn FnOnce(Result<&Connection, StoreError>) -> (Option<StoreError>, Answer) + Send>;
type ReadJob = Box<dyn FnOnce(&Connection) + Send>;

enum Message {
    Write { job: WriteJob, worth: Worth },
    Copy { target: PathBuf, answer: oneshot::Sender<Result<(), StoreError>> },
}

/// Whether a write alone makes a new last good copy due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Worth {
    /// It does.
    Copy,
    /// It does not: a lost one would not be missed.
    Minor,
}

/// How the writer behaves.
#[derive(Debug, Clone)]
pub(crate) struct WriterOptions {
    /// Idle time after which changes get into the last good copy.
    pub(crate) last_good_idle: Duration,
    /// Why every write is refused, if it is.
    pub(crate) refuse: Option<StoreError>,
}

/// Why the last write did not reach the disk.
type FaultSeen = Arc<Mutex<Option<StoreError>>>;

/// Handle of the writer thread; dropping it waits for the jobs under way.
#[derive(Debug)]
pub(crate) struct Writer {
    sender: Option<Sender<Message>>,
    thread: Option<JoinHandle<()>>,
    path: Arc<Path>,
    fault: FaultSeen,
    refuse: Option<StoreError>,
}

impl Writer {
    /// Starts the thread on a connection from [`open::open_writer`].
    pub(crate) fn start(
        connection: Connection,
        path: Arc<Path>,
        options: WriterOptions,
    ) -> Result<Self, StoreError> {
        let (sender, receiver) = mpsc::channel();
        let last_good = path.with_file_name(LAST_GOOD);
        let due = u32::from(!last_good.exists() && options.refuse.is_none());
        let refuse = options.refuse.clone();
        let fault = FaultSeen::new(Mutex::new(refuse.clone()));
        let seen = fault.clone();
        let body = Body { connection, receiver, path: path.clone(), last_good, due, options, seen };
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || body.run())
            .map_err(|error| StoreError::io(&path, &error))?;
        Ok(Self { sender: Some(sender), thread: Some(thread), path, fault, refuse })
    }

    /// Why every write is refused, if it is.
    pub(crate) fn refuses(&self) -> Option<StoreError> {
        self.refuse.clone()
    }

    /// Why the last write did not reach the disk, until one does.
    pub(crate) fn fault(&self) -> Option<StoreError> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs `job` in a transaction; its value comes back once it is on the disk.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
        worth: Worth,
        after: Option<After<T>>,
    ) -> Result<T, StoreError> {
        let (send, receive) = oneshot::channel();
        let path = self.path.clone();
        let job: WriteJob = Box::new(move |connection| {
            let result = connection.and_then(|it| job(it).map_err(|fault| fault.of(&path)));
            let refused = result.as_ref().err().cloned();
            let answer: Answer = Box::new(move |committed| {
                let result = result.and_then(|value| committed.map(|()| value));
                if let (Ok(value), Some(after)) = (&result, after) {
                    after(value);
                }
                // A caller that has gone away does not want the answer.
                drop(send.send(result));
            });
            (refused, answer)
        });
        self.send(Message::Write { job, worth })?;
        receive.await.map_err(|_| StoreError::Closed)?
    }

    /// Copies the database; see [`copy::copy_to`].
    pub(crate) async fn copy_to(&self, target: PathBuf) -> Result<(), StoreError> {
        let (answer, receive) = oneshot::channel();
        self.send(Message::Copy { target, answer })?;
        receive.await.map_err(|_| StoreError::Closed)?
    }

    fn send(&self, message: Message) -> Result<(), StoreError> {
        let sender = self.sender.as_ref().ok_or(StoreError::Closed)?;
        sender.send(message).map_err(|_| StoreError::Closed)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.sender.take();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(path = %self.path.display(), "the store's writer thread panicked");
        }
    }
}

/// What the writer thread owns.
struct Body {
    connection: Connection,
    receiver: Receiver<Message>,
    path: Arc<Path>,
    last_good: PathBuf,
    /// Commits that are not in the last good copy.
    due: u32,
    options: WriterOptions,
    seen: FaultSeen,
}

impl Body {
    fn run(mut self) {
        loop {
            match self.receiver.recv_timeout(self.options.last_good_idle) {
                Ok(Message::Write { job, worth }) => self.batch(job, worth),
                Ok(Message::Copy { target, answer }) => self.copy(&target, answer),
                Err(RecvTimeoutError::Timeout) => self.keep_last_good(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.due >= BUSY_COMMITS {
                self.keep_last_good();
            }
        }
        self.keep_last_good();
        if let Err((_, error)) = self.connection.close() {
            tracing::warn!(path = %self.path.display(), %error, "closing the store failed");
        }
    }

    fn copy(&self, target: &Path, answer: oneshot::Sender<Result<(), StoreError>>) {
        drop(answer.send(copy::copy_to(&self.connection, target)));
    }

    fn keep_last_good(&mut self) {
        if self.due == 0 {
            return;
        }
        match copy::copy_to(&self.connection, &self.last_good) {
            Ok(()) => self.due = 0,
            Err(error) => {
                tracing::warn!(code = error.code(), %error, "no last good copy of the store");
                self.due = 1;
            }
        }
    }

    /// Runs a job and those that wait behind it, commits once, answers all.
    fn batch(&mut self, first: WriteJob, mut worth: Worth) {
        let mut answers = Vec::new();
        let mut copies = Vec::new();
        let mut next = Some(first);
        let mut fault = None;
        let mut end = match &self.options.refuse {
            Some(reason) => Err(reason.clone()),
            None => self.sql("BEGIN IMMEDIATE"),
        };
        while let Some(job) = next.take() {
            let (refused, answer) = match &end {
                Ok(()) => self.in_savepoint(job),
                Err(error) => job(Err(error.clone())),
            };
            answers.push(answer);
            fault = refused.clone().filter(StoreError::is_of_the_disk).or(fault);
            if end.is_ok() && self.connection.is_autocommit() {
                // SQLite gave up the whole transaction, not only this job's part.
                end = Err(refused.unwrap_or_else(|| lost("the transaction ended early")));
            }
            while end.is_ok() && next.is_none() && answers.len() < BATCH {
                match self.receiver.try_recv() {
                    Ok(Message::Write { job, worth: more }) => {
                        next = Some(job);
                        worth = if more == Worth::Copy { more } else { worth };
                    }
                    Ok(Message::Copy { target, answer }) => copies.push((target, answer)),
                    Err(_) => break,
                }
            }
        }
        let end = end.and_then(|()| self.sql("COMMIT"));
        if end.is_err() && !self.connection.is_autocommit() {
            // Failing too, it leaves what the next BEGIN reports.
            drop(self.sql("ROLLBACK"));
        }
        if end.is_ok() && worth == Worth::Copy {
            self.due = self.due.saturating_add(1);
        }
        let fault = end.clone().err().or(fault);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = fault;
        for answer in answers {
            answer(end.clone());
        }
        for (target, answer) in copies {
            self.copy(&target, answer);
        }
    }

    fn in_savepoint(&self, job: WriteJob) -> (Option<StoreError>, Answer) {
        if let Err(error) = self.sql("SAVEPOINT job") {
            return job(Err(error));
        }
        let (refused, answer) = job(Ok(&self.connection));
        if self.connection.is_autocommit() {
            return (refused, answer);
        }
        let released = match refused {
            None => self.sql("RELEASE job"),
            Some(_) => self.sql("ROLLBACK TO job; RELEASE job"),
        };
        match (released, refused) {
            (Err(error), None) => {
                let told = error.clone();
                (Some(error), Box::new(move |_| answer(Err(told))))
            }
            (_, refused) => (refused, answer),
        }
    }

    fn sql(&self, text: &str) -> Result<(), StoreError> {
        self.connection.execute_batch(text).map_err(|error| StoreError::sqlite(&self.path, &error))
    }
}

fn lost(reason: &str) -> StoreError {
    StoreError::Sqlite { reason: reason.to_owned() }
}

/// Handle of the reader threads; dropping it waits for the reads under way.
#[derive(Debug)]
pub(crate) struct Readers {
    sender: Option<Sender<ReadJob>>,
    threads: Vec<JoinHandle<()>>,
    path: Arc<Path>,
}

impl Readers {
    /// Starts `count` threads, each with its own read-only connection.
    pub(crate) fn start(path: Arc<Path>, count: usize) -> Result<Self, StoreError> {
        let (sender, receiver) = mpsc::channel::<ReadJob>();
        let receiver = Arc::new(Mutex::new(receiver));
        let mut threads = Vec::with_capacity(count);
        for number in 0..count.max(1) {
            let connection = open::open_reader(&path)?;
            let receiver = receiver.clone();
            let thread = std::thread::Builder::new()
                .name(format!("store-reader-{number}"))
                .spawn(move || {
                    while let Some(job) = next(&receiver) {
                        job(&connection);
                    }
                })
                .map_err(|error| StoreError::io(&path, &error))?;
            threads.push(thread);
        }
        Ok(Self { sender: Some(sender), threads, path })
    }

    /// Runs `job` in one read transaction, so that all it sees is of one moment.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (send, receive) = oneshot::channel();
        let path = self.path.clone();
        let job: ReadJob = Box::new(move |connection| {
            let result = connection
                .unchecked_transaction()
                .map_err(Fault::from)
                .and_then(|transaction| job(&transaction))
                .map_err(|fault| fault.of(&path));
            // A caller that has gone away does not want the answer.
            drop(send.send(result));
        });
        let sender = self.sender.as_ref().ok_or(StoreError::Closed)?;
        sender.send(job).map_err(|_| StoreError::Closed)?;
        receive.await.map_err(|_| StoreError::Closed)?
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.sender.take();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!(path = %self.path.display(), "a reader thread panicked");
            }
        }
    }
}

fn next(receiver: &Mutex<Receiver<ReadJob>>) -> Option<ReadJob> {
    // A poisoned lock guards nothing but the receiver, which is whole.
    receiver.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}
