//! Logs: to the journal with fields when systemd runs the daemon, else to standard error.
//!
//! A line in the journal has its fields twice: as journal fields (`APP=`, `OPERATION=`), and in
//! the text, because people and scripts search `journalctl -u archipelago` for an app's id.

use std::fmt;
use std::os::unix::net::UnixDatagram;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

use crate::config::Logging;

/// The journal's socket (systemd.io, "Native Journal Protocol").
const SOCKET: &str = "/run/systemd/journal/socket";
/// Longest text in one entry, in bytes: a datagram has its limit.
const MAX_TEXT: usize = 32 * 1024;

/// Starts logging for this process.
///
/// # Errors
/// Logging was started before.
pub fn init(logging: &Logging, under_systemd: bool) -> Result<(), TryInitError> {
    let filter: Targets = logging.filter.parse().unwrap_or_default();
    let journal = under_systemd.then(Journal::connect).flatten();
    let plain = journal
        .is_none()
        .then(|| tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(true));
    tracing_subscriber::registry().with(journal).with(plain).with(filter).try_init()
}

/// True when standard error is the stream of the journal that `JOURNAL_STREAM` names; a program
/// started from a terminal may have inherited the variable.
#[must_use]
pub fn is_stderr(journal_stream: &str) -> bool {
    rustix::fs::fstat(std::io::stderr())
        .is_ok_and(|file| format!("{}:{}", file.st_dev, file.st_ino) == journal_stream)
}

/// Writes entries to the journal.
#[derive(Debug)]
pub struct Journal {
    socket: UnixDatagram,
}

impl Journal {
    /// The journal of this machine, if it has one.
    #[must_use]
    pub fn connect() -> Option<Self> {
        Self::connect_to(SOCKET)
    }

    fn connect_to(path: &str) -> Option<Self> {
        let socket = UnixDatagram::unbound().ok()?;
        socket.connect(path).ok()?;
        Some(Self { socket })
    }
}

/// Fields of an event or a span.
#[derive(Debug, Default, Clone)]
struct Fields {
    message: String,
    rest: Vec<(&'static str, String)>,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value.to_owned());
    }
}

impl Fields {
    fn set(&mut self, field: &Field, value: String) {
        if field.name() == "message" {
            self.message = value;
        } else {
            self.rest.push((field.name(), value));
        }
    }

    /// The entry in the journal's protocol.
    fn entry(&self, level: Level, target: &str) -> Vec<u8> {
        let mut text = self.message.clone();
        for (name, value) in &self.rest {
            text.extend([" ", name, "=", value]);
        }
        let text = crate::rpc::errors::cut(&text, MAX_TEXT);
        let priority = match level {
            Level::ERROR => "3",
            Level::WARN => "4",
            Level::INFO => "6",
            _ => "7",
        };
        let mut out = Vec::with_capacity(text.len() + 256);
        put(&mut out, "MESSAGE", &text);
        put(&mut out, "PRIORITY", priority);
        put(&mut out, "SYSLOG_IDENTIFIER", "archipelago");
        put(&mut out, "TARGET", target);
        for (name, value) in &self.rest {
            put(&mut out, &journal_name(name), &crate::rpc::errors::cut(value, 4096));
        }
        out
    }
}

/// A name as the journal takes it: capitals, digits and underscores, no underscore in front.
fn journal_name(name: &str) -> String {
    let upper = name.chars().map(|c| match c {
        'a'..='z' => c.to_ascii_uppercase(),
        'A'..='Z' | '0'..='9' => c,
        _ => '_',
    });
    let name: String = upper.collect();
    let name = name.trim_start_matches('_');
    match name {
        // these have a meaning of their own
        "MESSAGE" | "PRIORITY" | "ERRNO" | "UNIT" | "USER_UNIT" => format!("F_{name}"),
        name if name.starts_with(|c: char| c.is_ascii_digit()) => format!("F_{name}"),
        name => name.to_owned(),
    }
}

/// One field; values with a newline need the length in front.
fn put(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        out.push(b'\n');
        out.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        out.push(b'=');
    }
    out.extend_from_slice(value.as_bytes());
    out.push(b'\n');
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Journal {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(of_span) = span.extensions().get::<Fields>() {
                let new = of_span
                    .rest
                    .iter()
                    .filter(|(name, _)| !fields.rest.iter().any(|(own, _)| own == name));
                let new: Vec<_> = new.cloned().collect();
                fields.rest.extend(new);
            }
        }
        let entry = fields.entry(*event.metadata().level(), event.metadata().target());
        // when the journal is gone there is nobody left to tell
        drop(self.socket.send(&entry));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_apps_id_is_a_field_and_in_the_text() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let receiver = UnixDatagram::bind(&path).unwrap();
        let journal = Journal::connect_to(path.to_str().unwrap()).unwrap();
        let subscriber = tracing_subscriber::registry().with(journal);
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("work", app = "blog", operation = 7);
            span.in_scope(|| tracing::warn!(unit = "x.service", "two\nlines"));
        });
        let mut buffer = [0; 4096];
        let length = receiver.recv(&mut buffer).unwrap();
        let entry = String::from_utf8_lossy(&buffer[..length]);
        for part in ["APP=blog\n", "OPERATION=7\n", "PRIORITY=4\n", "F_UNIT=x.service\n"] {
            assert!(entry.contains(part), "{part} in {entry}");
        }
        assert!(entry.starts_with("MESSAGE\n"), "{entry}");
        assert!(entry.contains("two\nlines unit=x.service app=blog operation=7\n"), "{entry}");
    }
}
