//! A container's log, as it was and as it grows.

use std::{collections::VecDeque, time::Duration};

use archy_types::Timestamp;
use futures_util::Stream;

use crate::{
    Podman, PodmanError,
    body::Chunks,
    call::Call,
    frames::{Demux, Lines, LogLine, Output},
};

/// Which part of a log to read.
#[derive(Debug, Clone)]
pub struct LogRequest {
    /// Stay and give out lines as they come.
    pub follow: bool,
    /// Only so many lines from the end of what there is.
    pub tail: Option<u64>,
    /// Only lines from this moment on (whole seconds).
    pub since: Option<Timestamp>,
    /// Ask when each line was logged.
    pub timestamps: bool,
    /// Longest line in bytes; what is longer is cut.
    pub max_line: usize,
}

/// A log that is being read; dropping it ends it.
#[derive(Debug)]
pub struct Logs {
    decoder: Decoder,
    chunks: Chunks,
    ended: bool,
}

/// Turns pieces of a body into lines.
#[derive(Debug)]
pub(crate) struct Decoder {
    demux: Demux,
    lines: Lines,
    ready: VecDeque<LogLine>,
}

impl Default for LogRequest {
    fn default() -> Self {
        Self { follow: false, tail: None, since: None, timestamps: true, max_line: 16 << 10 }
    }
}

// === impl Decoder ===

impl Decoder {
    pub(crate) fn new(max_line: usize, timestamps: bool) -> Self {
        Self {
            demux: Demux::default(),
            lines: Lines::new(max_line, timestamps),
            ready: VecDeque::new(),
        }
    }

    fn push(&mut self, op: &str, data: &[u8]) -> Result<(), PodmanError> {
        self.demux.push(data);
        while let Some((output, data)) = self.demux.next().map_err(|bad| bad_frame(op, bad.0))? {
            self.lines.push(output, &data, &mut self.ready);
        }
        Ok(())
    }

    fn finish(&mut self) {
        // a terminal's output shorter than a header
        let rest = self.demux.rest().to_vec();
        self.lines.push(Output::Stdout, &rest, &mut self.ready);
        self.lines.finish(&mut self.ready);
    }
}

/// The error of a frame header that makes no sense.
pub(crate) fn bad_frame(op: &str, header: [u8; 8]) -> PodmanError {
    PodmanError::Decode { op: op.to_owned(), why: format!("bad frame header {header:02x?}") }
}

// === impl Logs ===

impl Logs {
    /// The next line; `None` at the end. May be dropped and called again.
    ///
    /// # Errors
    /// [`PodmanError::Broken`] when Podman goes away: connect again with `since`.
    pub async fn next(&mut self) -> Option<Result<LogLine, PodmanError>> {
        loop {
            if let Some(line) = self.decoder.ready.pop_front() {
                return Some(Ok(line));
            }
            if self.ended {
                return None;
            }
            let step = match self.chunks.next().await {
                Ok(Some(data)) => self.decoder.push(&self.chunks.op, &data),
                Ok(None) => {
                    self.ended = true;
                    self.decoder.finish();
                    Ok(())
                }
                Err(e) => Err(e),
            };
            if let Err(e) = step {
                self.ended = true;
                return Some(Err(e));
            }
        }
    }

    /// The lines as a stream.
    pub fn into_stream(self) -> impl Stream<Item = Result<LogLine, PodmanError>> + Send {
        futures_util::stream::unfold(self, |mut logs| async move {
            let item = logs.next().await?;
            Some((item, logs))
        })
    }
}

// === impl Podman ===

impl Podman {
    /// Opens a container's log. A followed log has no deadline after its start; one that is not
    /// followed may be silent for the deadline at most.
    ///
    /// # Errors
    /// Those of every call; 404 when there is no such container.
    pub async fn logs(&self, name: &str, request: &LogRequest) -> Result<Logs, PodmanError> {
        let flag = |b: bool| if b { "true" } else { "false" };
        let mut call = Call::get(&["containers", name, "logs"])
            .query("stdout", "true")
            .query("stderr", "true")
            .query("follow", flag(request.follow))
            .query("timestamps", flag(request.timestamps));
        if let Some(tail) = request.tail {
            call = call.query("tail", &tail.to_string());
        }
        if let Some(since) = request.since {
            call = call.query("since", &since.0.div_euclid(1000).to_string());
        }
        let answer = self.timed(&call.op, self.open(&call)).await?;
        let idle: Option<Duration> = (!request.follow).then_some(self.deadline());
        Ok(Logs {
            decoder: Decoder::new(request.max_line, request.timestamps),
            chunks: Chunks::new(answer.into_body(), call.op, idle),
            ended: false,
        })
    }

    /// The last `lines` lines of a log, at once.
    ///
    /// # Errors
    /// Those of [`Self::logs`] and [`Logs::next`].
    pub async fn log_tail(&self, name: &str, lines: u64) -> Result<Vec<LogLine>, PodmanError> {
        let request = LogRequest { tail: Some(lines), ..LogRequest::default() };
        let op = format!("GET containers/{name}/logs");
        self.timed(&op, async {
            let mut logs = self.logs(name, &request).await?;
            let mut all = Vec::new();
            while let Some(line) = logs.next().await {
                all.push(line?);
            }
            Ok(all)
        })
        .await
    }
}
