//! A plain static server for a published registry: GET and HEAD, `ETag`, `If-None-Match`. Any other
//! static server does as well.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use archy_types::Digest;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::names;
use crate::store::MAX_FILE;

/// Connections at a time.
const MAX_CONNECTIONS: usize = 128;
/// Time for a connection.
const CONNECTION_TIME: Duration = Duration::from_secs(120);

/// Serves the files of a directory until the future is dropped.
///
/// # Errors
/// The listener is broken.
pub async fn serve(listener: TcpListener, public: PathBuf) -> std::io::Result<()> {
    let (public, room) = (Arc::new(public), Arc::new(Semaphore::new(MAX_CONNECTIONS)));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return Ok(()) };
        let (stream, _) = match listener.accept().await {
            Ok(accepted) => accepted,
            // a client that is gone already, or too many files open: the next one may do
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let public = Arc::clone(&public);
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&public), request));
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(10))
                .serve_connection(TokioIo::new(stream), service);
            tokio::time::timeout(CONNECTION_TIME, connection).await.ok();
            drop(permit);
        });
    }
}

async fn answer(
    public: Arc<PathBuf>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        return Ok(status(StatusCode::METHOD_NOT_ALLOWED));
    }
    let Some(path) = file_of(&public, request.uri().path()) else {
        return Ok(status(StatusCode::NOT_FOUND));
    };
    let fixed = path.parent().is_some_and(|dir| dir.ends_with("targets"));
    let read = tokio::task::spawn_blocking(move || crate::files::read(&path, MAX_FILE)).await;
    let Ok(Ok(bytes)) = read else { return Ok(status(StatusCode::NOT_FOUND)) };
    let tag = format!("\"{}\"", Digest::of(&bytes).hex());
    let asked = request.headers().get_all(header::IF_NONE_MATCH).iter();
    let mut asked = asked.filter_map(|it| it.to_str().ok()).flat_map(|it| it.split(','));
    let same = asked.any(|it| it.trim().trim_start_matches("W/") == tag);
    let cache = if fixed { "public, max-age=31536000, immutable" } else { "no-cache" };
    let builder = Response::builder()
        .header(header::ETAG, &tag)
        .header(header::CACHE_CONTROL, cache)
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(header::CONTENT_TYPE, "application/octet-stream");
    let response = if same {
        builder.status(StatusCode::NOT_MODIFIED).body(Full::default())
    } else {
        builder.body(Full::new(bytes.into()))
    };
    Ok(response.unwrap_or_else(|_| status(StatusCode::INTERNAL_SERVER_ERROR)))
}

/// The file of a path: `/metadata/NAME` or `/targets/NAME`, nothing else.
fn file_of(public: &Path, path: &str) -> Option<PathBuf> {
    let (dir, name) = path.strip_prefix('/')?.split_once('/')?;
    names::check_target(name).ok().filter(|()| ["metadata", "targets"].contains(&dir))?;
    let path = public.join(dir).join(name);
    // no link leads out of it
    let plain = std::fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_file());
    plain.then_some(path)
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
