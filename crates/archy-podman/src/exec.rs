//! A command inside a running container: its exit code and what it printed.

use serde::{Deserialize, Serialize};

use crate::{
    Podman, PodmanError,
    body::Chunks,
    call::Call,
    frames::{Demux, Output},
    logs::bad_frame,
};

/// A command to run. Arguments, never a shell line.
#[derive(Debug, Clone)]
pub struct ExecRequest {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Extra environment, `NAME=value`. Podman keeps it: no secrets.
    pub env: Vec<String>,
    /// `uid[:gid]` or a name; the container's own when `None`.
    pub user: Option<String>,
    /// Directory; the container's own when `None`.
    pub workdir: Option<String>,
    /// How many bytes of each output are kept.
    pub max_output: usize,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutput {
    /// Exit code.
    pub exit_code: i32,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
    /// It printed more than is kept.
    pub truncated: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Create<'a> {
    cmd: &'a [String],
    env: &'a [String],
    attach_stdout: bool,
    attach_stderr: bool,
    tty: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    working_dir: Option<&'a str>,
}

#[derive(Deserialize)]
struct Created {
    #[serde(rename = "Id")]
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Session {
    #[serde(default)]
    running: bool,
    #[serde(default)]
    exit_code: i32,
}

// === impl ExecRequest ===

impl ExecRequest {
    /// A command with nothing special, of whose outputs 64 KiB each are kept.
    pub fn new<S: Into<String>>(command: impl IntoIterator<Item = S>) -> Self {
        Self {
            command: command.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            user: None,
            workdir: None,
            max_output: 64 << 10,
        }
    }
}

// === impl ExecOutput ===

impl ExecOutput {
    /// Exit code 0.
    #[must_use]
    pub const fn success(&self) -> bool {
        self.exit_code == 0
    }

    /// Standard output as text, without surrounding white space.
    #[must_use]
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim().to_owned()
    }

    /// Standard error as text, without surrounding white space.
    #[must_use]
    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).trim().to_owned()
    }

    fn keep(&mut self, output: Output, data: &[u8], limit: usize) {
        let buffer = match output {
            Output::Stdout => &mut self.stdout,
            Output::Stderr => &mut self.stderr,
        };
        let room = limit.saturating_sub(buffer.len()).min(data.len());
        buffer.extend_from_slice(&data[..room]);
        self.truncated |= room < data.len();
    }
}

// === impl Podman ===

impl Podman {
    /// Runs a command in a running container and waits for its end. The deadline covers all of
    /// it; a command that outlives it is left to run, since the API has no way to end it.
    ///
    /// # Errors
    /// Those of every call; 404 when there is no such container, a conflict when it does not run.
    /// A command that cannot be started is exit code 126 or 127, or an error of Podman.
    pub async fn exec(&self, name: &str, request: &ExecRequest) -> Result<ExecOutput, PodmanError> {
        let op = format!("POST containers/{name}/exec");
        self.timed(&op, self.exec_unlimited(name, request)).await
    }

    async fn exec_unlimited(
        &self,
        name: &str,
        request: &ExecRequest,
    ) -> Result<ExecOutput, PodmanError> {
        let create = Call::post(&["containers", name, "exec"]).json(&Create {
            cmd: &request.command,
            env: &request.env,
            attach_stdout: true,
            attach_stderr: true,
            tty: false,
            user: request.user.as_deref(),
            working_dir: request.workdir.as_deref(),
        })?;
        let Created { id } = self.json(&create).await?;
        let start = Call::post(&["exec", &id, "start"])
            .json(&serde_json::json!({ "Detach": false, "Tty": false }))?;
        let mut output =
            ExecOutput { exit_code: 0, stdout: Vec::new(), stderr: Vec::new(), truncated: false };
        let answer = self.open(&start).await?;
        let mut chunks = Chunks::new(answer.into_body(), start.op.clone(), None);
        let mut demux = Demux::default();
        while let Some(data) = chunks.next().await? {
            demux.push(&data);
            while let Some((from, data)) =
                demux.next().map_err(|bad| bad_frame(&start.op, bad.0))?
            {
                output.keep(from, &data, request.max_output);
            }
        }
        let inspect = Call::get(&["exec", &id, "json"]);
        // the outputs close a moment before Podman has the exit code
        loop {
            let session: Session = self.json(&inspect).await?;
            if !session.running {
                output.exit_code = session.exit_code;
                return Ok(output);
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}
