//! Health checks and ready conditions.

use super::{Rules, Written};
use crate::check::shorten;
use crate::model::{HealthCheck, Port, Probe, Protocol, ReadyCheck, ReadyCondition};
use crate::path::Path;
use crate::schema::{self, HealthType, JsonField, Seconds};

/// An endpoint such as `http://localhost:8080/health`.
#[derive(Debug, PartialEq, Eq)]
struct Endpoint<'t> {
    scheme: Option<&'t str>,
    port: Option<u16>,
    path: Option<&'t str>,
}

fn endpoint(text: &str) -> Option<Endpoint<'_>> {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, text),
    };
    let slash = rest.find('/').unwrap_or(rest.len());
    let (host, path) = rest.split_at_checked(slash)?;
    let port = match host.rsplit_once(':') {
        Some((_, port)) => Some(port.parse().ok().filter(|port| *port > 0)?),
        None => None,
    };
    let usual = match scheme {
        Some("http") => Some(80),
        Some("https") => Some(443),
        _ => None,
    };
    Some(Endpoint {
        scheme,
        port: port.or(usual),
        path: Some(path).filter(|path| !path.is_empty()),
    })
}

impl<'d> Rules<'_, '_, 'd> {
    pub(super) fn health(
        &mut self,
        health: &schema::Health,
        path: &Path,
        ports: &[Port],
    ) -> Option<HealthCheck> {
        let probe = self.probe(health, path, ports);
        let seconds = |value: Option<Seconds>, usual: u32| u64::from(value.map_or(usual, |s| s.0));
        let interval = seconds(health.interval, 30);
        let timeout = seconds(health.timeout, 5);
        let interval = self.range(&path.key("interval"), interval, 2, 86_400, " s");
        let timeout = self.range(&path.key("timeout"), timeout, 1, 3600, " s");
        let retries = u64::from(health.retries.unwrap_or(3));
        let retries = self.range(&path.key("retries"), retries, 1, 100, "");
        let start = seconds(health.start_period, 0);
        let start = self.range(&path.key("start_period"), start, 0, 86_400, " s");
        let small = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        Some(HealthCheck {
            probe: probe?,
            interval_secs: small(interval),
            timeout_secs: small(timeout),
            retries: small(retries),
            start_period_secs: small(start),
        })
    }

    fn probe(&mut self, health: &schema::Health, path: &Path, ports: &[Port]) -> Option<Probe> {
        let end = match health.endpoint.as_deref().map(endpoint) {
            Some(None) => {
                let message = "is not an endpoint";
                let mend = "write `http://localhost:<port in the container>`";
                self.error("invalid-endpoint", &path.key("endpoint"), message, mend);
                return None;
            }
            end => end.flatten(),
        };
        let web = health.path.is_some()
            || end.as_ref().is_some_and(|end| end.scheme == Some("http") || end.path.is_some());
        let usual = match (&health.command.is_empty(), web) {
            (false, _) => HealthType::Exec,
            (true, true) => HealthType::Http,
            (true, false) => HealthType::Tcp,
        };
        let kind = health.kind.unwrap_or(usual);
        if kind == HealthType::Exec {
            if health.command.is_empty() {
                let message = "`command` is missing";
                self.error("missing-key", &path.key("command"), message, "add `command: [...]`");
                return None;
            }
            return Some(Probe::Exec(health.command.clone()));
        }
        let port = health.port.or(end.as_ref().and_then(|end| end.port));
        let port = self.probe_port(port, path, ports)?;
        if kind == HealthType::Tcp {
            return Some(Probe::Tcp { port });
        }
        if end.as_ref().is_some_and(|end| end.scheme == Some("https")) {
            let message = "https is not asked from inside; the port is tried instead";
            let mend = "write `type: tcp`, or name a plain http port";
            self.warn("https-health", &path.key("endpoint"), message, mend);
            return Some(Probe::Tcp { port });
        }
        let asked = health.path.as_deref().or(end.and_then(|end| end.path)).unwrap_or("/");
        self.http_path(asked, &path.key("path"));
        Some(Probe::Http { port, path: asked.to_owned() })
    }

    fn probe_port(&mut self, port: Option<u16>, path: &Path, ports: &[Port]) -> Option<u16> {
        match (port, ports) {
            (Some(port), _) => {
                if !ports.is_empty() && !ports.iter().any(|known| known.container == port) {
                    let message = format!("the service does not publish its port {port}");
                    let list = ports.iter().map(|p| p.container.to_string()).collect::<Vec<_>>();
                    let mend = format!("it publishes {}; is one of them meant?", list.join(", "));
                    self.warn("health-port", path, message, mend);
                }
                Some(port)
            }
            (None, [only]) => Some(only.container),
            (None, _) => {
                let message = "`port` is missing";
                let mend = "add `port:` with a port in the container";
                self.error("missing-key", &path.key("port"), message, mend);
                None
            }
        }
    }

    /// The path of a request.
    pub(super) fn http_path(&mut self, text: &str, path: &Path) {
        if !text.starts_with('/') || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            let message = format!("`{}` is not the path of a request", shorten(text));
            self.error("invalid-path", path, message, "start it with `/`, without spaces");
        }
    }

    pub(super) fn ready(&mut self, written: &Written<'d>, ports: &[Port]) -> Vec<ReadyCondition> {
        let inside = written.path.key("ready");
        let beside = self.root.key("ready");
        let outer = written.beside.map_or(&[][..], |app| &app.ready);
        let all: Vec<_> = (written.container.ready.iter().enumerate())
            .map(|(index, ready)| (inside.index(index), ready))
            .chain(outer.iter().enumerate().map(|(index, ready)| (beside.index(index), ready)))
            .collect();
        let mut out = Vec::new();
        for (path, ready) in all {
            let parts = (&ready.http_json, &ready.log_line, &ready.file, ready.socket);
            let check = self.ready_check(parts, &path, ports);
            let timeout_secs = ready.timeout.map_or(300, |timeout| timeout.0);
            if let Some(check) = check {
                out.push(ReadyCondition { check, timeout_secs, message: ready.message.clone() });
            }
        }
        out
    }

    /// Exactly one of the four conditions.
    pub(super) fn ready_check(
        &mut self,
        parts: (&Option<JsonField>, &Option<String>, &Option<String>, Option<u16>),
        path: &Path,
        ports: &[Port],
    ) -> Option<ReadyCheck> {
        match parts {
            (Some(field), None, None, None) => self.http_json(field, &path.key("http_json"), ports),
            (None, Some(line), None, None) => Some(ReadyCheck::LogLine(line.clone())),
            (None, None, Some(file), None) => {
                self.container_path(file, &path.key("file")).map(ReadyCheck::File)
            }
            (None, None, None, Some(port)) => Some(ReadyCheck::Socket(port)),
            _ => {
                let message = "exactly one condition is needed";
                let mend = "write one of http_json, log_line, file, socket";
                self.error("one-of", path, message, mend);
                None
            }
        }
    }

    fn http_json(&mut self, field: &JsonField, path: &Path, ports: &[Port]) -> Option<ReadyCheck> {
        self.published(field.port, path, ports);
        let asked = field.path.clone().unwrap_or_else(|| "/".to_owned());
        self.http_path(&asked, &path.key("path"));
        if !field.pointer.is_empty() && !field.pointer.starts_with('/') {
            let message = format!("`{}` is not a JSON pointer", shorten(&field.pointer));
            let mend = "start it with `/`, for example `/result/ready`";
            self.error("invalid-pointer", &path.key("pointer"), message, mend);
        }
        Some(ReadyCheck::HttpJson {
            port: field.port,
            path: asked,
            pointer: field.pointer.clone(),
            equals: field.equals.clone(),
        })
    }

    /// A port that the daemon asks must be published.
    pub(super) fn published(&mut self, port: u16, path: &Path, ports: &[Port]) {
        let asked = |known: &Port| known.container == port && known.protocol == Protocol::Tcp;
        if !ports.iter().any(asked) {
            let message = format!("the service does not publish its TCP port {port}");
            let mend = "add it to the service's `ports`; it may be `auth: local`";
            self.error("unpublished-port", &path.key("port"), message, mend);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints() {
        let parts = |text| endpoint(text).map(|e| (e.scheme, e.port, e.path));
        assert_eq!(parts("http://localhost:8080"), Some((Some("http"), Some(8080), None)));
        assert_eq!(parts("http://localhost/x"), Some((Some("http"), Some(80), Some("/x"))));
        assert_eq!(parts("localhost:5432"), Some((None, Some(5432), None)));
        assert_eq!(parts("https://[::1]:1/a?b"), Some((Some("https"), Some(1), Some("/a?b"))));
        assert_eq!(parts("localhost:0"), None);
        assert_eq!(parts("localhost:x"), None);
    }
}
