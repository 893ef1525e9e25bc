//! Podman's multiplexed streams: 8-byte frame headers, then lines. Pure.
//!
//! A header is one byte of stream (0 stdin, 1 stdout, 2 stderr, 3 error), three zero bytes and the
//! payload's length, big-endian. A container with a terminal has no headers at all.

use std::collections::VecDeque;

use archy_types::Timestamp;
use bytes::{Buf as _, Bytes, BytesMut};

use crate::wire::parse_time;

/// Which of its two outputs a process wrote to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// One line of a container's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Where it was written to.
    pub output: Output,
    /// The text without its line end; bytes that are not UTF-8 are replaced.
    pub text: String,
    /// When Podman logged it, if that was asked for.
    pub time: Option<Timestamp>,
    /// The line was longer than the limit and was cut.
    pub truncated: bool,
}

/// A frame header that makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadHeader(pub(crate) [u8; 8]);

/// Splits a byte stream into the payloads of its frames. Never waits for a whole frame.
#[derive(Debug, Default)]
pub(crate) struct Demux {
    buffer: BytesMut,
    mode: Mode,
}

#[derive(Debug, Default, Clone, Copy)]
enum Mode {
    /// Nothing was read yet.
    #[default]
    Start,
    /// Between two frames.
    Header,
    /// Inside a frame, with so many bytes to come.
    Payload(Output, usize),
    /// No frames: a terminal.
    Raw,
}

// === impl Demux ===

impl Demux {
    pub(crate) fn push(&mut self, data: &[u8]) {
        self.buffer.extend_from_slice(data);
    }

    /// The next piece of payload, `None` when more input is needed.
    pub(crate) fn next(&mut self) -> Result<Option<(Output, Bytes)>, BadHeader> {
        loop {
            match self.mode {
                Mode::Raw => return Ok(self.take(Output::Stdout, usize::MAX)),
                Mode::Payload(output, left) => {
                    let piece = self.take(output, left);
                    if let Some((_, data)) = &piece {
                        let left = left - data.len();
                        self.mode =
                            if left == 0 { Mode::Header } else { Mode::Payload(output, left) };
                    }
                    return Ok(piece);
                }
                Mode::Start | Mode::Header => {
                    if !self.read_header()? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Bytes that were read but belong to no complete header.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.buffer
    }

    fn take(&mut self, output: Output, at_most: usize) -> Option<(Output, Bytes)> {
        let n = self.buffer.len().min(at_most);
        (n > 0).then(|| (output, self.buffer.split_to(n).freeze()))
    }

    /// True when the mode changed and reading can go on.
    fn read_header(&mut self) -> Result<bool, BadHeader> {
        if let (Mode::Start, Some(first)) = (self.mode, self.buffer.first())
            && *first > 3
        {
            self.mode = Mode::Raw;
            return Ok(true);
        }
        let Some(header) = self.buffer.first_chunk::<8>().copied() else { return Ok(false) };
        let [stream, a, b, c, l0, l1, l2, l3] = header;
        if stream > 3 || [a, b, c] != [0; 3] {
            if matches!(self.mode, Mode::Start) {
                self.mode = Mode::Raw;
                return Ok(true);
            }
            return Err(BadHeader(header));
        }
        self.buffer.advance(8);
        let output = if stream < 2 { Output::Stdout } else { Output::Stderr };
        let length = u32::from_be_bytes([l0, l1, l2, l3]);
        self.mode = match usize::try_from(length).unwrap_or(usize::MAX) {
            0 => Mode::Header,
            n => Mode::Payload(output, n),
        };
        Ok(true)
    }
}

/// Cuts payloads into lines, for each output by itself, with a limit on their length.
#[derive(Debug)]
pub(crate) struct Lines {
    limit: usize,
    timestamps: bool,
    partial: [Partial; 2],
}

#[derive(Debug, Default)]
struct Partial {
    text: Vec<u8>,
    /// The limit was passed; what follows up to the line end is dropped.
    cut: bool,
}

// === impl Lines ===

impl Lines {
    /// `limit` in bytes; with `timestamps` each line begins with an RFC 3339 time and a space.
    pub(crate) fn new(limit: usize, timestamps: bool) -> Self {
        Self { limit, timestamps, partial: Default::default() }
    }

    /// Adds payload; complete lines go to `out`.
    pub(crate) fn push(&mut self, output: Output, mut data: &[u8], out: &mut VecDeque<LogLine>) {
        while let Some(at) = data.iter().position(|b| *b == b'\n') {
            self.append(output, &data[..at]);
            self.emit(output, out);
            data = &data[at + 1..];
        }
        self.append(output, data);
    }

    /// Gives out what is left without a line end.
    pub(crate) fn finish(&mut self, out: &mut VecDeque<LogLine>) {
        for output in [Output::Stdout, Output::Stderr] {
            if !self.partial[output as usize].text.is_empty() {
                self.emit(output, out);
            }
        }
    }

    fn append(&mut self, output: Output, data: &[u8]) {
        let partial = &mut self.partial[output as usize];
        let room = self.limit.saturating_sub(partial.text.len());
        partial.cut |= data.len() > room;
        partial.text.extend_from_slice(&data[..data.len().min(room)]);
    }

    fn emit(&mut self, output: Output, out: &mut VecDeque<LogLine>) {
        let Partial { text, cut } = std::mem::take(&mut self.partial[output as usize]);
        let text = text.strip_suffix(b"\r").unwrap_or(&text);
        let text = String::from_utf8_lossy(text);
        let stamped = self
            .timestamps
            .then(|| text.split_once(' ').unwrap_or((&text, "")))
            .and_then(|(stamp, rest)| Some((parse_time(stamp)?, rest)));
        let (time, text) = match stamped {
            Some((time, rest)) => (Some(time), rest.to_owned()),
            None => (None, text.into_owned()),
        };
        out.push_back(LogLine { output, text, time, truncated: cut });
    }
}

#[cfg(test)]
mod tests;
