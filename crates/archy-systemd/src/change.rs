//! What the manager signals: job ends for who waits, hints for who watches.

use std::sync::Arc;

use futures_util::{Stream, StreamExt as _};
use tokio::sync::broadcast::{self, error::RecvError};
use zbus::{Message, MessageStream, OwnedObjectPath};

use crate::{
    job::{JobResult, JobTable},
    name::unit_from_path,
    proxy::MANAGER,
};

const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// A hint that something changed. Ask for the state after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A unit's properties changed.
    Unit(String),
    /// A unit was loaded.
    Loaded(String),
    /// A unit was unloaded: it is inactive and nothing refers to it.
    Unloaded(String),
    /// A job on a unit ended.
    JobEnded {
        /// The unit.
        unit: String,
        /// How.
        result: JobResult,
    },
    /// The manager has read its files anew.
    Reloaded,
    /// There were more hints than could be kept: anything may have changed.
    Missed,
}

/// Hints as they come. Slow readers lose some and get [`Change::Missed`].
#[derive(Debug)]
pub struct Changes {
    receiver: broadcast::Receiver<Change>,
}

// === impl Changes ===

impl Changes {
    pub(crate) const fn new(receiver: broadcast::Receiver<Change>) -> Self {
        Self { receiver }
    }

    /// The next hint; `None` when the connection ended. May be dropped and called again.
    pub async fn next(&mut self) -> Option<Change> {
        match self.receiver.recv().await {
            Ok(change) => Some(change),
            Err(RecvError::Lagged(_)) => Some(Change::Missed),
            Err(RecvError::Closed) => None,
        }
    }

    /// The hints as a stream.
    pub fn into_stream(self) -> impl Stream<Item = Change> + Send {
        futures_util::stream::unfold(self, |mut changes| async move {
            let change = changes.next().await?;
            Some((change, changes))
        })
    }
}

/// Reads signals until the connection ends. Never waits for anybody, so that nothing queues up.
pub(crate) async fn read_signals(
    mut stream: MessageStream,
    jobs: Arc<JobTable>,
    hints: broadcast::Sender<Change>,
) {
    while let Some(message) = stream.next().await {
        let read = match message {
            Ok(message) => read_signal(&message, &jobs),
            Err(error) => Err(error),
        };
        match read {
            // nobody may be watching
            Ok(Some(change)) => drop(hints.send(change)),
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "unreadable signal of the user manager"),
        }
    }
    jobs.close();
}

fn read_signal(message: &Message, jobs: &JobTable) -> zbus::Result<Option<Change>> {
    let header = message.header();
    let (Some(interface), Some(member)) = (header.interface(), header.member()) else {
        return Ok(None);
    };
    if interface.as_str() == PROPERTIES {
        let unit = header.path().and_then(|p| unit_from_path(p.as_str()));
        return Ok(unit.map(Change::Unit));
    }
    if interface.as_str() != MANAGER {
        return Ok(None);
    }
    let body = message.body();
    Ok(match member.as_str() {
        "JobRemoved" => {
            let (_, job, unit, word): (u32, OwnedObjectPath, String, String) =
                body.deserialize()?;
            let result = JobResult::parse(&word);
            jobs.removed(job.as_str(), result.clone());
            Some(Change::JobEnded { unit, result })
        }
        "UnitNew" => Some(Change::Loaded(body.deserialize::<(String, OwnedObjectPath)>()?.0)),
        "UnitRemoved" => Some(Change::Unloaded(body.deserialize::<(String, OwnedObjectPath)>()?.0)),
        "Reloading" => (!body.deserialize::<bool>()?).then_some(Change::Reloaded),
        _ => None,
    })
}
