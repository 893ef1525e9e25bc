//! Where log lines come from.

use archy_api::logs::LogSource as Stream;
use archy_types::{Timestamp, UserError};
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;

/// One line of a container's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// When; nought when the source did not tell.
    pub at: Timestamp,
    /// Standard output, standard error, or the service manager.
    pub stream: Stream,
    /// Without its newline.
    pub line: String,
}

/// Reads the logs of containers.
pub trait LogSource: Send + Sync + 'static {
    /// The last `lines` lines of a container, oldest first, of these only the ones since a
    /// moment. A container that has no log gives none.
    ///
    /// # Errors
    /// The log cannot be read.
    fn tail<'a>(
        &'a self,
        container: &'a str,
        lines: usize,
        since: Option<Timestamp>,
    ) -> BoxFuture<'a, Result<Vec<LogEntry>, UserError>>;

    /// The same lines, and then each new one as it comes. An error ends the stream; dropping it
    /// stops reading.
    fn follow(
        &self,
        container: &str,
        lines: usize,
        since: Option<Timestamp>,
    ) -> BoxStream<'static, Result<LogEntry, UserError>>;
}
