//! Everything that can wake the engine: one closed list.

use archy_plan::{Observed, Plan};
use archy_types::{AppId, OperationId, UserError};
use tokio::sync::oneshot;

use crate::handle::{Accepted, Command, Request};
use crate::ports::Ending;
use crate::status::OperationView;

/// A wake-up.
#[derive(Debug)]
pub(crate) enum Event {
    /// A user's command.
    Command(Command),
    /// Something changed on the host (a unit, a container); says nothing of what.
    Hint,
    /// The level pass is due.
    PassDue,
    /// A look at the host is done.
    Observed(Box<Observed>),
    /// The plan of a request was checked against the host.
    Checked(Box<Checked>),
    /// A worker reports.
    Progress(AppId, OperationView),
    /// A worker ended.
    Ended(AppId, OperationId, Ending),
}

/// A request whose plan was made before it is accepted.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) request: Request,
    pub(crate) plan: Plan,
    pub(crate) reply: oneshot::Sender<Result<Accepted, UserError>>,
}
