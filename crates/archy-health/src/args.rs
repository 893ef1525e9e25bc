//! The command line. Pure.

use std::time::Duration;

/// Shown after a mistake.
pub(crate) const USAGE: &str = "\
usage: archy-health http HOST:PORT[/PATH] [--timeout-secs N] [--patience-secs N] [--expect 2xx|3xx|CODE]
       archy-health tcp HOST:PORT [--timeout-secs N] [--patience-secs N]
       archy-health port-free [ADDRESS:]PORT [--timeout-secs N]
       archy-health wait-file PATH [--timeout-secs N]
       archy-health started CONTAINER http|tcp HOST:PORT... [--timeout-secs N] [--expect ...]
       archy-health exec [--timeout-secs N] [--patience-secs N] -- PROGRAM [ARGUMENT...]
--patience-secs: as long as nothing was well yet, and the container is no older than that, try again";

/// Longest limit that is taken: a day.
const MAX_SECS: u64 = 86_400;

/// What to do, and for how long at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) probe: Probe,
    pub(crate) limit: Duration,
    /// Tries again until it is well for the first time, in a container that is no older than this.
    pub(crate) patience: Option<Duration>,
    /// Looks into this container, which is being started, from outside, until it is well.
    pub(crate) starting: Option<String>,
}

/// What to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Probe {
    /// An HTTP server answers `GET path` with an expected status.
    Http { host: String, port: u16, path: String, expect: Expect },
    /// Something accepts connections.
    Tcp { host: String, port: u16 },
    /// Nothing is bound to a port of this host; `None` is every address.
    PortFree { address: Option<String>, port: u16 },
    /// A path exists.
    WaitFile { path: String },
    /// A program ends with 0.
    Exec { words: Vec<String> },
}

/// Statuses that are well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// All of one hundred: 2 is 200 to 299.
    Class(u16),
    /// Just this one.
    Code(u16),
}

// === impl Expect ===

impl Expect {
    /// Whether a status is well.
    pub(crate) const fn accepts(self, status: u16) -> bool {
        match self {
            Self::Class(class) => status / 100 == class,
            Self::Code(code) => status == code,
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("--expect {text:?} is not a class such as 2xx or a code such as 200");
        if let Some(class) = text.strip_suffix("xx") {
            let class = class.parse().map_err(|_| bad())?;
            return if (1..=5).contains(&class) { Ok(Self::Class(class)) } else { Err(bad()) };
        }
        let code = text.parse().map_err(|_| bad())?;
        if (100..=599).contains(&code) { Ok(Self::Code(code)) } else { Err(bad()) }
    }
}

impl std::fmt::Display for Expect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Class(class) => write!(f, "{class}xx"),
            Self::Code(code) => write!(f, "{code}"),
        }
    }
}

/// Reads the arguments after the program's name.
pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Command, String> {
    let mut arguments = arguments.into_iter();
    let verb = arguments.next().ok_or("a command is missing")?;
    match verb.as_str() {
        "exec" => exec(arguments),
        "http" | "tcp" | "port-free" | "wait-file" => look(&verb, arguments),
        "started" => started(arguments),
        _ => Err(format!("unknown command {verb:?}")),
    }
}

/// Reads what follows `exec`.
fn exec(mut arguments: impl Iterator<Item = String>) -> Result<Command, String> {
    let (mut limit, mut patience) = (Duration::from_secs(5), None);
    loop {
        let argument = arguments.next().ok_or("exec needs -- before the program")?;
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--timeout-secs" => limit = seconds(&value()?)?,
            "--patience-secs" => patience = Some(seconds(&value()?)?),
            "--" => break,
            _ => return Err("exec needs -- before the program".to_owned()),
        }
    }
    let words: Vec<String> = arguments.collect();
    if words.is_empty() {
        return Err("exec needs a program".to_owned());
    }
    Ok(Command { probe: Probe::Exec { words }, limit, patience, starting: None })
}

/// Reads what follows `started`.
fn started(mut arguments: impl Iterator<Item = String>) -> Result<Command, String> {
    let container = arguments.next().ok_or("started needs a container")?;
    match arguments.next().as_deref() {
        Some(verb @ ("http" | "tcp")) => {
            Ok(Command { starting: Some(container), ..look(verb, arguments)? })
        }
        _ => Err("started needs http or tcp after the container".to_owned()),
    }
}

/// Reads what follows the other commands.
fn look(verb: &str, mut arguments: impl Iterator<Item = String>) -> Result<Command, String> {
    let (mut target, mut limit, mut expect, mut patience) = (None, None, None, None);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--timeout-secs" => limit = Some(seconds(&value()?)?),
            "--patience-secs" if ["http", "tcp"].contains(&verb) => {
                patience = Some(seconds(&value()?)?);
            }
            "--expect" if verb == "http" => expect = Some(Expect::parse(&value()?)?),
            flag if flag.starts_with("--") => return Err(format!("unknown option {flag}")),
            _ if target.is_some() => return Err(format!("{argument:?} is one argument too many")),
            _ => target = Some(argument),
        }
    }
    let target = target.ok_or_else(|| format!("{verb} needs something to look at"))?;
    let (probe, usual) = match verb {
        "http" => (http(&target, expect.unwrap_or(Expect::Class(2)))?, 5),
        "tcp" => {
            let (host, port) = host_port(&target)?;
            (Probe::Tcp { host, port }, 5)
        }
        "port-free" => (port_free(&target)?, 10),
        _ => (Probe::WaitFile { path: target }, 30),
    };
    let limit = limit.unwrap_or(Duration::from_secs(usual));
    Ok(Command { probe, limit, patience, starting: None })
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(n) if n > 0 && n <= MAX_SECS => Ok(Duration::from_secs(n)),
        _ => Err(format!("{text:?} is not a number of seconds from 1 to {MAX_SECS}")),
    }
}

fn http(target: &str, expect: Expect) -> Result<Probe, String> {
    let target = target.strip_prefix("http://").unwrap_or(target);
    let at = target.find(['/', '?']).unwrap_or(target.len());
    let (authority, path) = target.split_at(at);
    let (host, port) = host_port(authority)?;
    if path.chars().any(|c| c.is_ascii_control() || c == ' ') {
        return Err(format!("the path {path:?} has a space or a control character"));
    }
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Ok(Probe::Http { host, port, path, expect })
}

fn port_free(target: &str) -> Result<Probe, String> {
    if !target.contains(':') {
        return Ok(Probe::PortFree { address: None, port: port(target)? });
    }
    let (host, port) = host_port(target)?;
    Ok(Probe::PortFree { address: Some(host), port })
}

/// Splits `host:port` or `[v6]:port`.
fn host_port(text: &str) -> Result<(String, u16), String> {
    let bad = || format!("{text:?} is not HOST:PORT");
    let (host, number) = text.rsplit_once(':').ok_or_else(bad)?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').ok_or_else(bad)?,
        None if host.contains(':') => return Err(bad()),
        None => host,
    };
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(bad());
    }
    Ok((host.to_owned(), port(number)?))
}

fn port(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(format!("{text:?} is not a port")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Command, String> {
        parse(line.split(' ').filter(|w| !w.is_empty()).map(str::to_owned))
    }

    #[test]
    fn good_lines() {
        let http = |host: &str, port, path: &str, expect| Probe::Http {
            host: host.to_owned(),
            port,
            path: path.to_owned(),
            expect,
        };
        let ok = Expect::Class(2);
        for (line, probe, secs) in [
            ("http 127.0.0.1:80", http("127.0.0.1", 80, "/", ok), 5),
            ("http http://localhost:8080/a?b=c", http("localhost", 8080, "/a?b=c", ok), 5),
            ("http [::1]:1?x --expect 3xx", http("::1", 1, "/?x", Expect::Class(3)), 5),
            ("http a:1/ --timeout-secs 9 --expect 204", http("a", 1, "/", Expect::Code(204)), 9),
            ("tcp --timeout-secs 2 [::1]:9", Probe::Tcp { host: "::1".to_owned(), port: 9 }, 2),
            ("port-free 80", Probe::PortFree { address: None, port: 80 }, 10),
            (
                "port-free 10.0.0.1:80",
                Probe::PortFree { address: Some("10.0.0.1".to_owned()), port: 80 },
                10,
            ),
            ("wait-file /run/x", Probe::WaitFile { path: "/run/x".to_owned() }, 30),
        ] {
            let limit = Duration::from_secs(secs);
            let want = Command { probe, limit, patience: None, starting: None };
            assert_eq!(read(line), Ok(want), "{line}");
        }
        let words = ["a", "--timeout-secs", "b"].map(str::to_owned).to_vec();
        let (limit, patience) = (Duration::from_secs(3), Some(Duration::from_secs(30)));
        let want = Command { probe: Probe::Exec { words }, limit, patience, starting: None };
        let line = "exec --timeout-secs 3 --patience-secs 30 -- a --timeout-secs b";
        assert_eq!(read(line), Ok(want));
        let probe = Probe::Tcp { host: "127.0.0.1".to_owned(), port: 9 };
        let (limit, starting) = (Duration::from_secs(5), Some("web".to_owned()));
        let want = Command { probe, limit, patience: None, starting };
        assert_eq!(read("started web tcp 127.0.0.1:9"), Ok(want));
    }

    #[test]
    fn bad_lines() {
        for line in [
            "",
            "http",
            "ftp a:1",
            "http a",
            "http :80",
            "http a:0",
            "http a:65536",
            "http ::1:80",
            "http [::1:80",
            "http a:1 b:2",
            "http a:1 --expect 2x",
            "http a:1 --expect 9xx",
            "http a:1 --expect",
            "http a:1 --timeout-secs 0",
            "http a:1 --timeout-secs x",
            "http a:1/a\u{7}b",
            "http a:1 --shell",
            "tcp a:1 --expect 200",
            "port-free x",
            "wait-file",
            "exec a",
            "started",
            "started web",
            "started web exec -- a",
            "exec --",
            "port-free 80 --patience-secs 3",
            "http a:1 --patience-secs 0",
        ] {
            assert!(read(line).is_err(), "{line}");
        }
    }

    #[test]
    fn statuses() {
        assert!(Expect::Class(2).accepts(204) && !Expect::Class(2).accepts(301));
        assert!(Expect::Code(200).accepts(200) && !Expect::Code(200).accepts(204));
    }
}
