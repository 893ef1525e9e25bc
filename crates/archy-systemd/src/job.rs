//! Results of jobs, brought together with who waits for them.
//!
//! systemd may signal a job's end before its answer to the call that made the job is read. The
//! key is the job's path, never the unit's name: equal requests share one job. So while any call
//! is under way, results that nobody waits for yet are kept.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

/// How a job ended (`org.freedesktop.systemd1(5)`, "JobRemoved").
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobResult {
    /// It did what was asked.
    Done,
    /// It failed.
    Failed,
    /// systemd's own limit for the job passed.
    Timeout,
    /// Another job took its place.
    Canceled,
    /// A unit that it needs failed.
    Dependency,
    /// It did not apply to the unit's state.
    Skipped,
    /// Another word: `invalid`, `assert`, `unsupported`, `collected`, `once`, `frozen`, ….
    Other(String),
}

/// Who waits for which job.
#[derive(Debug, Default)]
pub(crate) struct JobTable {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: HashMap<String, Vec<oneshot::Sender<JobResult>>>,
    early: HashMap<String, JobResult>,
    calls: usize,
    closed: bool,
}

/// A call that will make a job. As long as it lives, no result is lost.
#[derive(Debug)]
pub(crate) struct Claim {
    table: Arc<JobTable>,
}

/// The connection ended, so no result will come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closed;

// === impl JobResult ===

impl JobResult {
    /// Reads systemd's word.
    pub(crate) fn parse(word: &str) -> Self {
        match word {
            "done" => Self::Done,
            "failed" => Self::Failed,
            "timeout" => Self::Timeout,
            "canceled" => Self::Canceled,
            "dependency" => Self::Dependency,
            "skipped" => Self::Skipped,
            other => Self::Other(other.to_owned()),
        }
    }

    /// systemd's word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::Canceled => "canceled",
            Self::Dependency => "dependency",
            Self::Skipped => "skipped",
            Self::Other(word) => word,
        }
    }

    /// True when the unit is as was asked.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }
}

impl std::fmt::Display for JobResult {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl JobTable ===

impl JobTable {
    /// To be called before the call that makes a job.
    pub(crate) fn claim(self: &Arc<Self>) -> Claim {
        self.lock().calls += 1;
        Claim { table: Arc::clone(self) }
    }

    /// A job ended.
    pub(crate) fn removed(&self, path: &str, result: JobResult) {
        let mut inner = self.lock();
        if let Some(waiting) = inner.waiting.remove(path) {
            for sender in waiting {
                // who no longer waits does not want it
                let _ = sender.send(result.clone());
            }
        }
        if inner.calls > 0 {
            inner.early.insert(path.to_owned(), result);
        }
    }

    /// The connection ended: nobody need wait any longer.
    pub(crate) fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        inner.waiting.clear();
        inner.early.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Claim ===

impl Claim {
    /// The call was answered with this job: a future of its result.
    pub(crate) fn result_of(
        self,
        path: &str,
    ) -> impl Future<Output = Result<JobResult, Closed>> + Send + use<> {
        let (sender, receiver) = oneshot::channel();
        let mut inner = self.table.lock();
        if let Some(result) = inner.early.get(path) {
            let _ = sender.send(result.clone());
        } else if !inner.closed {
            let waiting = inner.waiting.entry(path.to_owned()).or_default();
            // those that gave up at their deadline
            waiting.retain(|w| !w.is_closed());
            waiting.push(sender);
        }
        drop(inner);
        async move { receiver.await.map_err(|_| Closed) }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut inner = self.table.lock();
        inner.calls -= 1;
        if inner.calls == 0 {
            inner.early.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_result_may_come_first() {
        let table = Arc::new(JobTable::default());
        let (first, second) = (table.claim(), table.claim());
        table.removed("/job/1", JobResult::Failed);
        // two calls that were merged into one job
        assert_eq!(first.result_of("/job/1").await, Ok(JobResult::Failed));
        assert_eq!(second.result_of("/job/1").await, Ok(JobResult::Failed));
        assert!(table.lock().early.is_empty());
        table.removed("/job/2", JobResult::Done);
        assert!(table.lock().early.is_empty(), "nobody called, nothing is kept");
    }

    #[tokio::test]
    async fn the_result_may_come_last() {
        let table = Arc::new(JobTable::default());
        let first = table.claim().result_of("/job/1");
        let second = table.claim().result_of("/job/1");
        table.removed("/job/9", JobResult::Failed);
        table.removed("/job/1", JobResult::Done);
        assert_eq!((first.await, second.await), (Ok(JobResult::Done), Ok(JobResult::Done)));
        assert!(table.lock().waiting.is_empty());
    }

    #[tokio::test]
    async fn an_ended_connection_ends_the_wait() {
        let table = Arc::new(JobTable::default());
        let (before, claim) = (table.claim().result_of("/job/1"), table.claim());
        table.close();
        assert_eq!(before.await, Err(Closed));
        assert_eq!(claim.result_of("/job/2").await, Err(Closed));
    }

    #[test]
    fn words() {
        for word in ["done", "failed", "timeout", "canceled", "dependency", "skipped", "once"] {
            assert_eq!(JobResult::parse(word).to_string(), word);
        }
    }
}
