//! The one place that starts programs: argument vectors, input, a deadline.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use super::{NodeError, Output};

/// A program that is ended when its handle is dropped.
#[expect(
    clippy::disallowed_methods,
    reason = "the adapter for drivers of nodes, which are programs"
)]
pub(super) fn command(argv: &[String]) -> Command {
    let (program, args) = argv.split_first().map_or(("", &[][..]), |(p, args)| (p.as_str(), args));
    let mut command = Command::new(program);
    command.args(args).kill_on_drop(true);
    command
}

pub(super) fn spawn(mut command: Command, what: &str) -> Result<Child, NodeError> {
    command.spawn().map_err(|error| NodeError::Failed(format!("`{what}` cannot be run: {error}")))
}

/// Runs a program to its end.
pub(super) async fn run(
    argv: &[String],
    input: Option<Vec<u8>>,
    limit: Duration,
) -> Result<Output, NodeError> {
    let what = || argv.iter().take(12).cloned().collect::<Vec<_>>().join(" ");
    let mut command = command(argv);
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(command, &what())?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async move {
        if let (Some(bytes), Some(mut pipe)) = (input, stdin) {
            // a program that does not read its input closes the pipe: no failure of ours
            let _closed = pipe.write_all(&bytes).await;
        }
    };
    let work = async {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let read_out = async {
            if let Some(mut pipe) = stdout {
                let _end = pipe.read_to_end(&mut out).await;
            }
        };
        let read_err = async {
            if let Some(mut pipe) = stderr {
                let _end = pipe.read_to_end(&mut err).await;
            }
        };
        tokio::join!(feed, read_out, read_err);
        let status = child.wait().await;
        (status, out, err)
    };
    let Ok((status, out, err)) = tokio::time::timeout(limit, work).await else {
        return Err(NodeError::Timeout { what: format!("`{}`", what()), limit });
    };
    let status = status.map_err(|error| NodeError::Failed(format!("`{}`: {error}", what())))?;
    Ok(Output {
        status: code(status),
        stdout: String::from_utf8_lossy(&out).into_owned(),
        stderr: String::from_utf8_lossy(&err).into_owned(),
    })
}

fn code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(255)
}
