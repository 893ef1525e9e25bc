//! One reload for all who asked before it began.

use std::{
    future::Future,
    sync::atomic::{AtomicU64, Ordering},
};

use tokio::sync::Mutex;

/// Merges requests for the same thing.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    asked: AtomicU64,
    /// The last request that is served.
    served: Mutex<u64>,
}

// === impl Merged ===

impl Merged {
    /// Runs `work`, or does nothing when a run that began after this call has succeeded.
    pub(crate) async fn run<E, F>(&self, work: impl FnOnce() -> F) -> Result<(), E>
    where
        F: Future<Output = Result<(), E>>,
    {
        let mine = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut served = self.served.lock().await;
        if *served >= mine {
            return Ok(());
        }
        let all = self.asked.load(Ordering::SeqCst);
        work().await?;
        *served = all;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn those_who_wait_share_the_next_run() {
        let merged = Arc::new(Merged::default());
        let runs = Arc::new(AtomicU64::new(0));
        let gate = Arc::new(tokio::sync::Semaphore::new(0));
        let tasks: Vec<_> = (0..10)
            .map(|_| {
                let (merged, runs, gate) = (merged.clone(), runs.clone(), gate.clone());
                tokio::spawn(async move {
                    merged
                        .run(|| async {
                            runs.fetch_add(1, Ordering::SeqCst);
                            gate.acquire().await.map(|p| p.forget()).map_err(|_| ())
                        })
                        .await
                })
            })
            .collect();
        while merged.asked.load(Ordering::SeqCst) < 10 {
            tokio::task::yield_now().await;
        }
        gate.add_permits(10);
        for task in tasks {
            assert_eq!(task.await.unwrap(), Ok(()));
        }
        assert_eq!(runs.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_failure_serves_nobody() {
        let merged = Merged::default();
        assert_eq!(merged.run(|| async { Err("no") }).await, Err("no"));
        assert_eq!(merged.run(|| async { Ok::<_, ()>(()) }).await, Ok(()));
    }
}
