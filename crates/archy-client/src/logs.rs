//! Log lines as a stream.

use std::fmt::Write as _;
use std::time::Duration;

use archy_api::ErrorObject;
use archy_api::logs::{LogFrame, LogLine, LogQuery};
use archy_api::paths;
use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;

use crate::call::{read_answer, within};
use crate::{Client, ClientError};

/// Longest silence of a following stream; the server sends a sign of life every 15 s.
const SILENCE: Duration = Duration::from_secs(60);
/// Longest line that is kept, in bytes.
const MAX_LINE: usize = 1024 * 1024;

/// An open stream of log lines.
#[derive(Debug)]
pub struct LogStream {
    body: Incoming,
    buffer: Vec<u8>,
    done: bool,
    client: Client,
}

impl Client {
    /// Opens a stream of log lines, oldest first.
    ///
    /// # Errors
    /// The daemon cannot be reached or refused, for example because the app is not known.
    pub async fn logs(&self, query: &LogQuery) -> Result<LogStream, ClientError> {
        let path = log_path(query);
        let request = self
            .request(http::Method::GET, &path)?
            .body(Full::new(Bytes::new()))
            .map_err(|error| ClientError::Protocol(error.to_string()))?;
        let response = self.within("logs", self.send(request)).await?;
        let status = response.status();
        if status == StatusCode::OK {
            let body = response.into_body();
            return Ok(LogStream { body, buffer: Vec::new(), done: false, client: self.clone() });
        }
        let body = self.within("logs", self.collect(response.into_body())).await?;
        match read_answer(status, &body) {
            Err(error) => Err(error),
            Ok(_) => Err(ClientError::Protocol(format!("HTTP status {status}"))),
        }
    }
}

impl LogStream {
    /// The next line; nothing when the stream has ended.
    ///
    /// # Errors
    /// The connection broke or went silent, or the daemon ended the stream with an error.
    pub async fn next(&mut self) -> Result<Option<LogLine>, ClientError> {
        loop {
            if let Some(line) = self.take_line() {
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                return read_line(&line).map(Some);
            }
            if self.done {
                return Ok(None);
            }
            self.fill().await?;
        }
    }

    fn take_line(&mut self) -> Option<Vec<u8>> {
        let end = match self.buffer.iter().position(|byte| *byte == b'\n') {
            Some(at) => at + 1,
            None if self.done && !self.buffer.is_empty() => self.buffer.len(),
            None => return None,
        };
        Some(self.buffer.drain(..end).collect())
    }

    async fn fill(&mut self) -> Result<(), ClientError> {
        let frame = within("logs", SILENCE, async { Ok(self.body.frame().await) }).await?;
        match frame {
            None => self.done = true,
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.buffer.extend_from_slice(data);
                }
            }
            Some(Err(error)) => {
                return Err(self.client.target.unreachable(std::io::Error::other(error)));
            }
        }
        if self.buffer.len() > MAX_LINE && !self.buffer.contains(&b'\n') {
            return Err(ClientError::Protocol("a log line is longer than 1 MiB".to_owned()));
        }
        Ok(())
    }
}

fn read_line(line: &[u8]) -> Result<LogLine, ClientError> {
    match serde_json::from_slice(line) {
        Ok(LogFrame::Line(line)) => Ok(line),
        Ok(LogFrame::Error { error }) => {
            Err(ClientError::Rejected(Box::new(ErrorObject::from(error))))
        }
        Err(error) => Err(ClientError::Protocol(format!("log line: {error}"))),
    }
}

fn log_path(query: &LogQuery) -> String {
    let LogQuery { app, service, lines, since, follow } = query;
    let mut path = format!("{}?app={}", paths::LOGS, escape(app));
    // writing to a String cannot fail
    if let Some(service) = service {
        let _ = write!(path, "&service={}", escape(service));
    }
    if let Some(lines) = lines {
        let _ = write!(path, "&lines={lines}");
    }
    if let Some(since) = since {
        let _ = write!(path, "&since={since}");
    }
    if *follow != 0 {
        path.push_str("&follow=1");
    }
    path
}

/// Percent-encodes all but unreserved characters (RFC 3986 §2.3).
fn escape(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries() {
        let mut query = LogQuery {
            app: "a b&c".to_owned(),
            service: None,
            lines: None,
            since: None,
            follow: 0,
        };
        assert_eq!(log_path(&query), "/rpc/v1/logs?app=a%20b%26c");
        query = LogQuery {
            app: "blog".to_owned(),
            service: Some("db".to_owned()),
            lines: Some(5),
            since: Some(7),
            follow: 1,
        };
        assert_eq!(log_path(&query), "/rpc/v1/logs?app=blog&service=db&lines=5&since=7&follow=1");
    }
}
