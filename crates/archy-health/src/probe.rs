//! The probes. Each ends within its limit and says in one line what it found.

use std::{
    io::{self, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _},
    path::Path,
    time::{Duration, Instant},
};

use crate::args::{Command, Expect, Probe};

mod exec;
mod load;
mod starting;
mod young;

/// Begins what is said when it cannot be known how the app is. It counts as well, so that nothing is
/// ended for its sake; the daemon reads it and shows the health as unknown.
const UNKNOWN: &str = "unknown: ";

/// How often something that is waited for is looked at.
const PAUSE: Duration = Duration::from_millis(50);
/// Longest head of an HTTP answer that is looked at for its status.
const MAX_STATUS_LINE: usize = 256;

/// Runs a probe: what was found, or why it is not well. In a young container in which nothing was
/// well yet it is patient: so a start takes no longer than the app needs, however rarely it is asked.
pub(crate) fn run(command: &Command) -> Result<String, String> {
    if let Some(container) = &command.starting {
        return starting::until_well(container, || once(command));
    }
    let Some(left) = command.patience.and_then(young::left) else {
        return in_time(command, || load::stretched(command.limit));
    };
    let found = wait(Instant::now() + left, || once(command))?;
    young::was_well();
    Ok(found)
}

/// Asks once; again, with more time, where the answer was late and there is a reason for that.
fn in_time(command: &Command, more: impl FnOnce() -> Option<Duration>) -> Result<String, String> {
    let began = Instant::now();
    once(command).or_else(|why| {
        if began.elapsed() + PAUSE < command.limit {
            return Err(why);
        }
        let Some(limit) = more() else { return Err(why) };
        once(&Command { limit, ..command.clone() })
            .map(|found| format!("{found} (late: this machine is overloaded)"))
            .map_err(|again| format!("{why}; with more time: {again}"))
    })
}

fn once(command: &Command) -> Result<String, String> {
    let end = Instant::now() + command.limit;
    match &command.probe {
        Probe::Http { host, port, path, expect } => {
            each_address(host, *port, end, |address| http(address, host, path, *expect, end))
        }
        Probe::Tcp { host, port } => each_address(host, *port, end, |address| {
            connect(address, end).map(|_| format!("{address} accepts connections"))
        }),
        Probe::PortFree { address, port } => wait(end, || port_free(address.as_deref(), *port)),
        Probe::WaitFile { path } => wait(end, || match Path::new(path).try_exists() {
            Ok(true) => Ok(format!("{path} exists")),
            Ok(false) => Err(format!("{path} does not exist")),
            Err(error) => Err(format!("{path}: {error}")),
        }),
        Probe::Exec { words } => exec::run(words, end),
    }
}

/// Tries a host's addresses in turn; the first that is well decides.
fn each_address(
    host: &str,
    port: u16,
    end: Instant,
    probe: impl Fn(SocketAddr) -> Result<String, String>,
) -> Result<String, String> {
    let mut failures = Vec::new();
    for address in addresses(host, port)? {
        if end <= Instant::now() {
            failures.push(format!("{address}: no time left"));
            break;
        }
        match probe(address) {
            Ok(found) => return Ok(found),
            Err(why) => failures.push(why),
        }
    }
    Err(failures.join("; "))
}

/// Loopback is both families, for servers that listen on one of them only.
fn addresses(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let (v4, v6) = (IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST));
    if host == "localhost" || host == "127.0.0.1" {
        return Ok(vec![SocketAddr::new(v4, port), SocketAddr::new(v6, port)]);
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let found = (host, port).to_socket_addrs().map_err(|e| format!("{host}: {e}"))?;
    Ok(found.collect())
}

/// Time that is left, never nought: a socket takes nought for no limit.
fn left(end: Instant) -> Duration {
    end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

fn connect(address: SocketAddr, end: Instant) -> Result<TcpStream, String> {
    TcpStream::connect_timeout(&address, left(end)).map_err(|e| format!("{address}: {e}"))
}

fn http(
    address: SocketAddr,
    host: &str,
    path: &str,
    expect: Expect,
    end: Instant,
) -> Result<String, String> {
    let mut stream = connect(address, end)?;
    let status = ask(&mut stream, host, address.port(), path, end)
        .map_err(|error| format!("GET {path} of {address}: {error}"))?;
    if expect.accepts(status) {
        Ok(format!("GET {path} of {address}: {status}"))
    } else {
        Err(format!("GET {path} of {address}: {status}, expected {expect}"))
    }
}

/// Sends a request and reads the status line.
fn ask(stream: &mut TcpStream, host: &str, port: u16, path: &str, end: Instant) -> io::Result<u16> {
    let name = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {name}:{port}\r\nUser-Agent: archy-health\r\n\
         Accept: */*\r\nConnection: close\r\n\r\n"
    );
    stream.set_write_timeout(Some(left(end)))?;
    stream.write_all(request.as_bytes())?;
    let mut head = Vec::new();
    let mut buffer = [0; MAX_STATUS_LINE];
    while !head.contains(&b'\n') && head.len() < MAX_STATUS_LINE {
        // a server that sends a byte now and then does not get more time
        if end <= Instant::now() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left(end)))?;
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => head.extend_from_slice(&buffer[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            // the socket's word for its limit differs between systems
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            Err(e) => return Err(e),
        }
    }
    status(&head).ok_or_else(|| io::Error::other("the answer is not HTTP"))
}

/// The status of an answer's first line.
fn status(head: &[u8]) -> Option<u16> {
    let line = head.split(|b| *b == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?.strip_prefix("HTTP/1.")?;
    let code = line.split_ascii_whitespace().nth(1)?;
    code.parse().ok().filter(|c| (100..=999).contains(c))
}

/// Bound by nobody: binding it works. The socket is closed at once.
fn port_free(address: Option<&str>, port: u16) -> Result<String, String> {
    let all: Vec<IpAddr> = match address {
        None => vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()],
        Some(text) => vec![text.parse().map_err(|_| format!("{text:?} is not an address"))?],
    };
    for ip in all {
        match TcpListener::bind((ip, port)) {
            Ok(_) => {}
            // a host without IPv6, or an address that is not the host's
            Err(e) if address.is_none() && ip.is_ipv6() && e.kind() != io::ErrorKind::AddrInUse => {
            }
            Err(error) => return Err(format!("port {port} is not free: {error}")),
        }
    }
    Ok(format!("port {port} is free"))
}

/// Looks until it is well or the time is up.
fn wait<T>(end: Instant, mut look: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    loop {
        match look() {
            Ok(found) => return Ok(found),
            Err(why) if Instant::now() + PAUSE >= end => return Err(why),
            Err(_) => pause(),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a look at a port or path has nothing to wait on")]
fn pause() {
    std::thread::sleep(PAUSE);
}

#[cfg(test)]
mod tests;
