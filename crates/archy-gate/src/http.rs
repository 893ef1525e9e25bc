//! One HTTP/1.0 request over a connection: enough to see whether a door answers, and what.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::node::Io;

/// How much of an answer is read.
const MOST_BYTES: u64 = 1 << 20;
/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(15);

/// What to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ask {
    /// `GET`, `POST`, …
    pub(crate) method: String,
    /// Host header.
    pub(crate) host: String,
    /// Path with query.
    pub(crate) path: String,
    /// Body.
    pub(crate) body: Option<String>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Status.
    pub(crate) status: u16,
    /// Body; what is not UTF-8 is replaced.
    pub(crate) body: String,
}

/// Asks over a fresh connection.
///
/// # Errors
/// The connection breaks, the answer is not HTTP or does not come in time.
pub(crate) async fn ask(stream: Box<dyn Io>, ask: &Ask) -> io::Result<Answer> {
    let late = || io::Error::new(io::ErrorKind::TimedOut, "no answer in time");
    tokio::time::timeout(LIMIT, exchange(stream, ask)).await.map_err(|_| late())?
}

async fn exchange(mut stream: Box<dyn Io>, ask: &Ask) -> io::Result<Answer> {
    let Ask { method, host, path, body } = ask;
    // 1.0: the end of the connection is the end of the body, and nothing is sent in chunks
    let mut text = format!(
        "{method} {path} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: archy-gate\r\nAccept: */*\r\nConnection: close\r\n"
    );
    if let Some(body) = body {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    text.push_str(body.as_deref().unwrap_or_default());
    stream.write_all(text.as_bytes()).await?;
    stream.flush().await?;
    let mut bytes = Vec::new();
    let read = stream.take(MOST_BYTES).read_to_end(&mut bytes).await;
    parse(&bytes).ok_or_else(|| match read {
        Err(error) => error,
        Ok(_) => io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP"),
    })
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n").or_else(|| text.split_once("\n\n"))?;
    let mut words = head.lines().next()?.split_whitespace();
    words.next().filter(|word| word.starts_with("HTTP/"))?;
    let status = words.next()?.parse().ok()?;
    Some(Answer { status, body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_request_and_its_answer() {
        let (here, mut there) = tokio::io::duplex(4096);
        let server = tokio::spawn(async move {
            let mut seen = vec![0; 512];
            let read = there.read(&mut seen).await.unwrap();
            there.write_all(b"HTTP/1.1 201 Created\r\nX: y\r\n\r\nkept").await.unwrap();
            String::from_utf8_lossy(&seen[..read]).into_owned()
        });
        let put = Ask {
            method: "PUT".into(),
            host: "127.0.0.1:80".into(),
            path: "/a?b".into(),
            body: Some("kept".into()),
        };
        let answer = ask(Box::new(here), &put).await.unwrap();
        assert_eq!(answer, Answer { status: 201, body: "kept".into() });
        let seen = server.await.unwrap();
        assert!(seen.starts_with("PUT /a?b HTTP/1.0\r\nHost: 127.0.0.1:80\r\n"), "{seen}");
        assert!(seen.ends_with("Content-Length: 4\r\n\r\nkept"), "{seen}");
    }

    #[test]
    fn what_is_not_http_is_no_answer() {
        assert_eq!(parse(b"SSH-2.0-x\r\n\r\n"), None);
        assert_eq!(parse(b""), None);
    }
}
