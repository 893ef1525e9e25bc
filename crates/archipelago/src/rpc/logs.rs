//! Log lines: `package.logs`, and the stream at `/rpc/v1/logs`.

use std::sync::Arc;
use std::time::Duration;

use archy_api::logs::{
    DEFAULT_LINES, LogFrame, LogLevel, LogLine, LogQuery, LogsParams, LogsResult, MAX_LINES,
    MAX_NODE_LINES, NodeLogLine, NodeLogsParams, NodeLogsResult,
};
use archy_api::method::{Method as _, PackageLogs};
use archy_api::rpc::ErrorObject;
use archy_engine::AppView;
use archy_types::{Redactor, ServiceName, Timestamp, UserError};
use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use http::{HeaderMap, StatusCode, header};

use super::package::{containers, installed};
use super::table::{Answer, Call};
use super::{access, reply};
use crate::app::App;
use crate::logs::LogEntry;
use crate::net::Peer;
use crate::support;
use crate::survey::JournalLine;

/// A sign of life while nothing is logged.
const ALIVE: Duration = Duration::from_secs(15);

pub(super) async fn tail(app: &App, _: &Call, params: LogsParams) -> Answer<LogsResult> {
    let view = installed(app, &params.id)?;
    let since = params.since.map(Timestamp);
    Ok(LogsResult {
        lines: lines(app, &view, params.service.as_deref(), params.lines, since).await?,
    })
}

/// `system.logs`: the daemon's own lines. Nothing leaves when the secrets cannot be read, for then
/// they could not be struck out.
pub(super) async fn of_node(app: &App, _: &Call, params: NodeLogsParams) -> Answer<NodeLogsResult> {
    let count = params.lines.unwrap_or(DEFAULT_LINES).clamp(1, MAX_NODE_LINES);
    let priority = match params.level {
        Some(LogLevel::Error) => 3,
        Some(LogLevel::Warning) => 4,
        Some(LogLevel::Info) => 6,
        Some(LogLevel::Debug) | None => 7,
    };
    let redactor = Redactor::new(&support::secrets(app).await?);
    let since = params.since.map(Timestamp);
    let lines = app.backends.survey.daemon_log(count, since, priority).await?;
    let line = |line: JournalLine| NodeLogLine {
        ts: line.at.0,
        level: match line.priority {
            0..=3 => LogLevel::Error,
            4 => LogLevel::Warning,
            5 | 6 => LogLevel::Info,
            _ => LogLevel::Debug,
        },
        part: line.target,
        line: redactor.clean(&line.text),
    };
    Ok(NodeLogsResult { lines: lines.into_iter().map(line).collect() })
}

/// The last lines of an app's services, in the order of time.
async fn lines(
    app: &App,
    view: &AppView,
    service: Option<&str>,
    count: Option<u32>,
    since: Option<Timestamp>,
) -> Result<Vec<LogLine>, UserError> {
    let count = count.unwrap_or(DEFAULT_LINES).min(MAX_LINES) as usize;
    let services = containers(view, service)?;
    let logs = &app.backends.logs;
    let tails = services.iter().map(|(_, container)| logs.tail(container, count, since));
    let mut all = Vec::new();
    for ((service, _), entries) in services.iter().zip(futures_util::future::join_all(tails).await)
    {
        all.extend(entries?.into_iter().map(|entry| line(service, entry)));
    }
    all.sort_by_key(|line| line.ts);
    Ok(all.split_off(all.len().saturating_sub(count)))
}

fn line(service: &ServiceName, entry: LogEntry) -> LogLine {
    LogLine { ts: entry.at.0, service: service.to_string(), stream: entry.stream, line: entry.line }
}

/// `GET /rpc/v1/logs`.
pub async fn stream(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    query: Result<Query<LogQuery>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let checked = access::check(&app, peer, &headers, PackageLogs::NAME, PackageLogs::ACCESS).await;
    let caller = match checked {
        Ok(caller) => caller,
        Err(error) => return reply::single(reply::Reply { id: None, outcome: Err(error) }),
    };
    let refuse = |status, error: UserError| {
        let error = ErrorObject::from(error);
        reply::refused(status, if peer.is_local_admin() { error } else { app.masks.clean(error) })
    };
    let query = match query {
        Ok(Query(query)) => query,
        Err(error) => {
            let message = format!("Invalid query: {error}.");
            return refuse(StatusCode::BAD_REQUEST, UserError::new("invalid-params", message));
        }
    };
    let view = match installed(&app, &query.app) {
        Ok(view) => view,
        Err(error) => return refuse(StatusCode::NOT_FOUND, error),
    };
    let since = query.since.map(Timestamp);
    let body = if query.follow == 0 {
        match lines(&app, &view, query.service.as_deref(), query.lines, since).await {
            Ok(lines) => {
                Body::from(lines.into_iter().map(|l| frame(&LogFrame::Line(l))).collect::<String>())
            }
            Err(error) => return refuse(StatusCode::NOT_FOUND, error),
        }
    } else {
        match follow(&app, &view, &query, since) {
            Ok(frames) => {
                let ended = access::ended(app.clone(), caller);
                let frames = frames.take_until(ended);
                Body::from_stream(frames.map(Ok::<_, std::convert::Infallible>))
            }
            Err(error) => return refuse(StatusCode::NOT_FOUND, error),
        }
    };
    let headers =
        [(header::CONTENT_TYPE, "application/x-ndjson"), (header::CACHE_CONTROL, "no-store")];
    (headers, body).into_response()
}

fn follow(
    app: &App,
    view: &AppView,
    query: &LogQuery,
    since: Option<Timestamp>,
) -> Result<BoxStream<'static, Bytes>, UserError> {
    let count = query.lines.unwrap_or(DEFAULT_LINES).min(MAX_LINES) as usize;
    let services = containers(view, query.service.as_deref())?;
    let one = |(service, container): (ServiceName, String)| {
        let entries = app.backends.logs.follow(&container, count, since);
        entries
            .map(move |entry| match entry {
                Ok(entry) => frame(&LogFrame::Line(line(&service, entry))),
                Err(error) => frame(&LogFrame::Error { error }),
            })
            .boxed()
    };
    let lines = stream::select_all(services.into_iter().map(one)).map(Bytes::from);
    Ok(alive(lines.boxed()).take_until(app.stop.clone().cancelled_owned()).boxed())
}

/// Puts an empty line wherever nothing came for a while, so that a dead client is noticed.
fn alive(lines: BoxStream<'static, Bytes>) -> BoxStream<'static, Bytes> {
    stream::unfold(lines, |mut lines| async move {
        match tokio::time::timeout(ALIVE, lines.next()).await {
            Ok(Some(line)) => Some((line, lines)),
            Ok(None) => None,
            Err(_) => Some((Bytes::from_static(b"\n"), lines)),
        }
    })
    .boxed()
}

fn frame(frame: &LogFrame) -> String {
    let mut text = serde_json::to_string(frame).unwrap_or_default();
    text.push('\n');
    text
}
