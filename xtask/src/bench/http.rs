//! The little HTTP that measuring needs: calls over the daemon's socket, and doors of services that answer or do not.
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(20);
/// How long a door may take to answer a question before it is asked again.
const KNOCK: Duration = Duration::from_millis(500);

/// A connection to the daemon that stays open from call to call.
#[derive(Debug)]
pub(super) struct Rpc {
    stream: BufReader<UnixStream>,
}

impl Rpc {
    /// Connects to the daemon's socket.
    ///
    /// # Errors
    /// Nobody listens there.
    pub(super) fn open(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(ANSWER))?;
        stream.set_write_timeout(Some(ANSWER))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Calls a method.
    ///
    /// # Errors
    /// The connection's, or the daemon's own.
    pub(super) fn call(&mut self, method: &str, params: &Value) -> anyhow::Result<Value> {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let body = serde_json::to_vec(&body)?;
        let head = format!(
            "POST /rpc/v1 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let stream = self.stream.get_mut();
        stream.write_all(&[head.as_bytes(), body.as_slice()].concat())?;
        let mut length = None;
        loop {
            let mut line = String::new();
            ensure!(self.stream.read_line(&mut line)? > 0, "the daemon closed the connection");
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = Some(value.trim().parse::<usize>()?);
            }
        }
        let mut answer = vec![0; length.context("an answer without a length")?];
        self.stream.read_exact(&mut answer)?;
        let mut answer: Value = serde_json::from_slice(&answer)?;
        let error = answer["error"].take();
        ensure!(error.is_null(), "{method}: {error}");
        Ok(answer["result"].take())
    }
}

/// A published port, and what is asked there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Door {
    /// Port on the node.
    pub(super) port: u16,
    /// The question.
    pub(super) ask: Ask,
}

/// A question that only the service itself can answer, not the proxy before it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Ask {
    /// HTTP GET of this path; any status below 500 is an answer.
    Http(String),
    /// A PostgreSQL client asks for TLS.
    Postgres,
    /// PING of Valkey and Redis.
    Valkey,
}

impl Door {
    /// True when the service answers now.
    pub(super) fn answers(&self) -> bool {
        self.knock().unwrap_or(false)
    }

    fn knock(&self) -> io::Result<bool> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let mut stream = TcpStream::connect_timeout(&address, KNOCK)?;
        stream.set_read_timeout(Some(KNOCK))?;
        let question = match &self.ask {
            Ask::Http(path) => {
                format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                    .into_bytes()
            }
            Ask::Postgres => vec![0, 0, 0, 8, 4, 210, 22, 47],
            Ask::Valkey => b"PING\r\n".to_vec(),
        };
        stream.write_all(&question)?;
        let mut answer = [0_u8; 10];
        let length = match self.ask {
            Ask::Http(_) => 10,
            Ask::Postgres => 1,
            Ask::Valkey => 5,
        };
        stream.read_exact(&mut answer[..length])?;
        Ok(match self.ask {
            Ask::Http(_) => answer.starts_with(b"HTTP/1.") && answer[9] < b'5',
            Ask::Postgres => matches!(answer[0], b'N' | b'S'),
            Ask::Valkey => answer.starts_with(b"+PONG"),
        })
    }
}
