//! How files of a registry come here: over HTTP, or out of a directory.

use std::path::PathBuf;
use std::time::Duration;

use archy_fetch::{FetchError, Fetcher, Limits as FetchLimits};
use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::error::RegistryError;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Want<'a> {
    /// Path below the registry's address.
    pub path: &'a str,
    /// Most bytes.
    pub max_bytes: u64,
    /// Time for all of it.
    pub deadline: Duration,
    /// Mark of what is here already (an `ETag`).
    pub tag: Option<&'a str>,
}

/// What came.
#[derive(Debug, Clone)]
pub enum Got {
    /// The file.
    File {
        /// Its bytes.
        bytes: Bytes,
        /// Its mark.
        tag: Option<String>,
    },
    /// It is what is here already.
    Unchanged,
    /// There is none.
    Absent,
}

/// Brings files. Nothing it brings is trusted.
pub trait Transport: Send + Sync {
    /// Brings one file.
    ///
    /// # Errors
    /// It could not be brought within the limits.
    fn get<'a>(&'a self, want: Want<'a>) -> BoxFuture<'a, Result<Got, RegistryError>>;
}

/// Files over http and https.
#[derive(Debug, Clone)]
pub struct HttpTransport {
    fetcher: Fetcher,
    base: String,
}

impl HttpTransport {
    /// Files below an address.
    #[must_use]
    pub fn new(fetcher: Fetcher, base: &str) -> Self {
        Self { fetcher, base: base.trim_end_matches('/').to_owned() }
    }

    async fn fetch(&self, want: Want<'_>) -> Result<Got, RegistryError> {
        let url = format!("{}/{}", self.base, want.path);
        let limits = FetchLimits {
            deadline: want.deadline,
            max_bytes: want.max_bytes,
            ..FetchLimits::default()
        };
        match self.fetcher.get_if_changed(&url, want.tag, &limits).await {
            Ok(Some(fetched)) => {
                let tag = fetched.headers.get(http::header::ETAG);
                let tag = tag.and_then(|tag| tag.to_str().ok()).filter(|tag| tag.len() <= 200);
                Ok(Got::File { tag: tag.map(str::to_owned), bytes: fetched.body })
            }
            Ok(None) => Ok(Got::Unchanged),
            // object stores say "forbidden" for what is not there
            Err(FetchError::Status { status: 403 | 404 | 410, .. }) => Ok(Got::Absent),
            Err(FetchError::TooLarge { limit, .. }) => {
                Err(RegistryError::TooLarge { file: want.path.to_owned(), limit })
            }
            Err(FetchError::Deadline { .. }) => Err(RegistryError::Slow {
                file: want.path.to_owned(),
                seconds: want.deadline.as_secs(),
            }),
            Err(error) => Err(RegistryError::Unreachable(error)),
        }
    }
}

impl Transport for HttpTransport {
    fn get<'a>(&'a self, want: Want<'a>) -> BoxFuture<'a, Result<Got, RegistryError>> {
        Box::pin(self.fetch(want))
    }
}

/// Files of a directory: a stick that was carried over, or a project before it is served.
#[derive(Debug, Clone)]
pub struct DirTransport {
    dir: PathBuf,
}

impl DirTransport {
    /// Files below a directory.
    #[must_use]
    pub const fn new(dir: PathBuf) -> Self {
        Self { dir }
    }
}

impl Transport for DirTransport {
    fn get<'a>(&'a self, want: Want<'a>) -> BoxFuture<'a, Result<Got, RegistryError>> {
        Box::pin(async move {
            let found = crate::files::read_if_there(&self.dir.join(want.path), want.max_bytes);
            let found = found.map_err(|error| match error {
                RegistryError::TooLarge { limit, .. } => {
                    RegistryError::TooLarge { file: want.path.to_owned(), limit }
                }
                other => other,
            })?;
            Ok(found.map_or(Got::Absent, |bytes| Got::File { bytes: bytes.into(), tag: None }))
        })
    }
}
