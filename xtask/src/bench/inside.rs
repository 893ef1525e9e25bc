//! The part that runs in the node: does a job and says how long each of its actions took.
//!
//! This very program is copied there, so that both sides of a comparison are timed by the same clock, without the
//! time that it takes to enter the node.
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::http::{Door, Rpc};
use crate::sh::{self, Cmd};

/// The daemon's socket, as seen in the node.
pub(super) const SOCKET: &str = "/run/archipelago/archipelago.sock";
/// Between two knocks at a door.
const KNOCKS: Duration = Duration::from_millis(2);
/// Between two questions to the daemon, which cost it something.
const QUESTIONS: Duration = Duration::from_millis(10);

/// Actions, one after the other.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Job {
    /// What is done.
    pub(super) actions: Vec<Action>,
    /// How long it may take in all, in seconds.
    pub(super) limit_secs: u64,
}

/// One action.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Action {
    /// Writes a file.
    Write {
        /// Where.
        path: PathBuf,
        /// What.
        text: String,
    },
    /// Runs a command to its end, which must be a good one.
    Run(Vec<String>),
    /// Asks the daemon for something and waits for what comes of it.
    Ask {
        /// Method.
        method: String,
        /// Parameters.
        params: Value,
        /// The app that is waited for.
        app: String,
        /// What is waited for.
        until: Until,
    },
    /// Waits for what comes of what an app was asked before.
    Await {
        /// The app that is waited for.
        app: String,
        /// What is waited for.
        until: Until,
    },
    /// Waits until each of these answers.
    Answer(Vec<Door>),
    /// Waits until the daemon answers a call.
    Daemon,
}

/// What the daemon says in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Until {
    /// The app runs and is healthy.
    Running,
    /// The app is stopped.
    Stopped,
    /// There is no such app.
    Gone,
}

impl Action {
    /// A command of words.
    pub(super) fn run(words: &[&str]) -> Self {
        Self::Run(words.iter().map(|word| (*word).to_owned()).collect())
    }

    /// A call that concerns one app.
    pub(super) fn ask(method: &str, app: &str, until: Until) -> Self {
        Self::ask_with(method, app, json!({ "id": app }), until)
    }

    /// The action in words.
    fn name(&self) -> String {
        match self {
            Self::Write { path, .. } => format!("writing {}", path.display()),
            Self::Run(argv) => argv.join(" "),
            Self::Ask { method, app, until, .. } => format!("{method} {app} until {until:?}"),
            Self::Await { app, until } => format!("waiting for {app} until {until:?}"),
            Self::Answer(_) => "waiting for answers".to_owned(),
            Self::Daemon => "waiting for the daemon".to_owned(),
        }
    }

    /// A call that concerns one app, with parameters.
    pub(super) fn ask_with(method: &str, app: &str, params: Value, until: Until) -> Self {
        Self::Ask { method: method.to_owned(), params, app: app.to_owned(), until }
    }
}

/// How long it took.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Done {
    /// Milliseconds from the beginning to the end of each action.
    pub(super) marks: Vec<f64>,
}

impl Done {
    /// Milliseconds in all.
    pub(super) fn total(&self) -> f64 {
        self.marks.last().copied().unwrap_or_default()
    }
}

/// Reads a job, does it, and prints how long it took.
///
/// # Errors
/// An action fails or does not end in time.
pub(super) fn main() -> anyhow::Result<()> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let done = perform(&serde_json::from_str(&text)?)?;
    sh::print(&serde_json::to_string(&done)?);
    Ok(())
}

fn perform(job: &Job) -> anyhow::Result<Done> {
    let limit = Duration::from_secs(job.limit_secs);
    let began = Instant::now();
    let mut marks = Vec::new();
    for action in &job.actions {
        let left = limit.saturating_sub(began.elapsed());
        act(action, left).with_context(|| format!("{} after {marks:.0?} ms", action.name()))?;
        marks.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(Done { marks })
}

fn act(action: &Action, limit: Duration) -> anyhow::Result<()> {
    match action {
        Action::Write { path, text } => Ok(std::fs::write(path, text)?),
        Action::Run(argv) => {
            let (program, args) = argv.split_first().context("an empty command")?;
            Cmd::new(program).args(args).limit(limit).run()?;
            Ok(())
        }
        Action::Ask { method, params, app, until } => {
            let mut rpc = Rpc::open(Path::new(SOCKET))?;
            rpc.call(method, params)?;
            until_reached(&mut rpc, app, *until, limit)
        }
        Action::Await { app, until } => {
            until_reached(&mut Rpc::open(Path::new(SOCKET))?, app, *until, limit)
        }
        Action::Answer(doors) => doors.iter().try_for_each(|door| {
            wait(limit, KNOCKS, || door.answers())
                .with_context(|| format!("{door:?} does not answer"))
        }),
        Action::Daemon => wait(limit, KNOCKS, || {
            let answer = Rpc::open(Path::new(SOCKET))
                .map_err(anyhow::Error::from)
                .and_then(|mut rpc| rpc.call("health", &json!({})));
            answer.is_ok()
        }),
    }
}

fn until_reached(rpc: &mut Rpc, app: &str, until: Until, limit: Duration) -> anyhow::Result<()> {
    let mut failed = None;
    wait(limit, QUESTIONS, || match reached(rpc, app, until) {
        Ok(there) => there,
        Err(error) => {
            failed = Some(error);
            true
        }
    })?;
    failed.map_or(Ok(()), Err)
}

fn reached(rpc: &mut Rpc, app: &str, until: Until) -> anyhow::Result<bool> {
    let state = rpc.call("server.get-state", &json!({}))?;
    let Some(app) = state["data"]["package-data"].get(app) else {
        return Ok(until == Until::Gone);
    };
    let error = &app["operation"]["error"];
    if !error.is_null() {
        bail!("the operation failed: {error}");
    }
    let is = |key: &str, value: &str| app[key].as_str() == Some(value);
    Ok(match until {
        Until::Running => is("state", "running") && is("health", "healthy"),
        Until::Stopped => is("state", "stopped"),
        Until::Gone => false,
    })
}

#[expect(clippy::disallowed_methods, reason = "the pause between two questions, with a deadline")]
fn wait(limit: Duration, pause: Duration, mut holds: impl FnMut() -> bool) -> anyhow::Result<()> {
    let began = Instant::now();
    while !holds() {
        anyhow::ensure!(began.elapsed() < limit, "not within {} s", limit.as_secs());
        std::thread::sleep(pause);
    }
    Ok(())
}
