//! Everything that can wake the engine: one closed list.

use std::sync::Arc;

use archy_plan::{DesiredApp, Observed, Plan};
use archy_types::{AppId, OperationId, UserError};
use tokio::sync::oneshot;

use crate::endings::Failure;
use crate::handle::{Accepted, Command, Request};
use crate::status::OperationView;
use crate::worker::Outcome;

/// A wake-up.
#[derive(Debug)]
pub(crate) enum Event {
    /// A user's command.
    Command(Command),
    /// Something changed on the host (a unit, a container); says nothing of what.
    Hint,
    /// A worker has started or stopped units: people wait for what a look says of it.
    Moved,
    /// The level pass is due.
    PassDue,
    /// A look at the host is done.
    Observed(Box<Observed>),
    /// The plan of a request was checked against the host.
    Checked(Box<Checked>),
    /// A worker reports.
    Progress(AppId, OperationView),
    /// A worker's update failed and goes back.
    TurnBack(Box<TurnBack>),
    /// A worker removed snapshots of an app that are kept no longer.
    Pruned(AppId),
    /// A worker ended.
    Ended(AppId, OperationId, Outcome),
}

/// A request whose plan was made before it is accepted.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) request: Request,
    pub(crate) plan: Plan,
    /// What it was checked against.
    pub(crate) observed: Arc<Observed>,
    pub(crate) reply: oneshot::Sender<Result<Accepted, UserError>>,
}

/// An update that goes back to what was before it.
#[derive(Debug)]
pub(crate) struct TurnBack {
    pub(crate) app: AppId,
    /// Why.
    pub(crate) failure: Failure,
    /// The desired state of before under a new generation, and all apps with it.
    pub(crate) reply: oneshot::Sender<Option<Back>>,
}

/// Where an update goes back to.
#[derive(Debug)]
pub(crate) struct Back {
    pub(crate) app: DesiredApp,
    pub(crate) all: Arc<Vec<DesiredApp>>,
}
