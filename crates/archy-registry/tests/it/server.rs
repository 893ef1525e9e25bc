//! A server on loopback that does what it is told: serve a directory, and lie about some files.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use archy_fetch::Fetcher;
use archy_registry::HttpTransport;
use archy_types::Digest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What is done instead of serving a file.
#[derive(Debug, Clone)]
pub(crate) enum Lie {
    /// Other bytes.
    Bytes(Vec<u8>),
    /// There is none.
    Gone,
    /// An error.
    Broken,
    /// Bytes without end.
    Endless,
    /// A byte now and then, without end.
    Drip,
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: String,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    dir: Mutex<PathBuf>,
    lies: Mutex<BTreeMap<String, Lie>>,
    asked: Mutex<Vec<String>>,
    bytes: AtomicUsize,
}

impl Server {
    pub(crate) async fn start(dir: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            dir: Mutex::new(dir),
            lies: Mutex::default(),
            asked: Mutex::default(),
            bytes: AtomicUsize::new(0),
        });
        let own = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&own);
                tokio::spawn(async move { answer(stream, &shared).await.ok() });
            }
        });
        Self { address, shared }
    }

    pub(crate) fn transport(&self) -> HttpTransport {
        HttpTransport::new(Fetcher::new(None, "test"), &self.address)
    }

    /// Serves another directory from now on.
    pub(crate) fn turn_to(&self, dir: PathBuf) {
        *self.shared.dir.lock().unwrap() = dir;
    }

    pub(crate) fn lie(&self, path: &str, lie: Lie) {
        self.shared.lies.lock().unwrap().insert(path.to_owned(), lie);
    }

    pub(crate) fn tell_the_truth(&self) {
        self.shared.lies.lock().unwrap().clear();
    }

    /// Paths that were asked for since the last time, and bytes that were sent.
    pub(crate) fn asked(&self) -> (Vec<String>, usize) {
        let bytes = self.shared.bytes.swap(0, Ordering::SeqCst);
        (std::mem::take(&mut *self.shared.asked.lock().unwrap()), bytes)
    }
}

async fn answer(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap().trim_start_matches('/').to_owned();
    shared.asked.lock().unwrap().push(path.clone());
    let lie = shared.lies.lock().unwrap().get(&path).cloned();
    let file = shared.dir.lock().unwrap().join(&path);
    let bytes = match lie {
        Some(Lie::Bytes(bytes)) => Some(bytes),
        Some(Lie::Gone) => None,
        Some(Lie::Broken) => return send(&mut stream, shared, "500 Broken", b"", "").await,
        Some(Lie::Endless) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await?;
            loop {
                stream.write_all(&[b' '; 4096]).await?;
            }
        }
        Some(Lie::Drip) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{").await?;
            std::future::pending::<()>().await;
            None
        }
        None => std::fs::read(file).ok(),
    };
    let Some(bytes) = bytes else {
        return send(&mut stream, shared, "404 Not Found", b"", "").await;
    };
    let tag = format!("\"{}\"", Digest::of(&bytes).hex());
    if head.contains(&format!("if-none-match: {tag}")) {
        return send(&mut stream, shared, "304 Not Modified", b"", &tag).await;
    }
    send(&mut stream, shared, "200 OK", &bytes, &tag).await
}

async fn send(
    stream: &mut TcpStream,
    shared: &Shared,
    status: &str,
    body: &[u8],
    tag: &str,
) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status}\r\netag: {tag}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    shared.bytes.fetch_add(head.len() + body.len(), Ordering::SeqCst);
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await
}
