//! The requests the app answers.
//!
//! `/` and `/version`, `/health`, `/sick`, `/well`, `/crash?code=N`, `/hang` (never answers), `/json`
//! (`{"ready":bool,...}`), `/starts`, `/peer`, `/id`, `/env/NAME`, `/file/PATH`, `/get/HOST:PORT/PATH`,
//! `/log?line=TEXT`, `/memory?mib=N` (takes and keeps it), `/threads?n=N` (says how many it got), `/data/write?n=N`, `/data/verify`, `/data/fill?mib=N`, `/data/unfill`.
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::data;
use crate::knobs::Knobs;

type Answer = (u16, String);

/// How long a peer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Answers the one request of a connection.
pub fn answer(mut stream: TcpStream, knobs: &Knobs) {
    let _no_limit = stream.set_read_timeout(Some(PATIENCE));
    let Some(target) = target(&stream) else { return };
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let peer = stream.peer_addr().map(|peer| peer.to_string()).unwrap_or_default();
    let (code, body) = match path {
        "/peer" => (200, format!("{peer}\n")),
        _ if path.starts_with("/data/") => of_data(path, query),
        _ => of_app(path, query, knobs),
    };
    let kind = if path == "/json" { "application/json" } else { "text/plain; charset=utf-8" };
    let head = format!(
        "HTTP/1.1 {code} X\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _gone = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
}

/// Asks our own `/health`: an exit code.
pub fn check() -> i32 {
    let port = std::env::var("PORT").unwrap_or_else(|_| "8080".into());
    match fetch(&format!("127.0.0.1:{port}"), "health") {
        Ok(answer) if answer.starts_with("HTTP/1.1 200") => 0,
        _ => 1,
    }
}

fn of_app(path: &str, query: &str, knobs: &Knobs) -> Answer {
    match path {
        "/health" if knobs.sick() => (503, "sick\n".into()),
        "/health" => (200, "ok\n".into()),
        "/sick" => {
            knobs.set_sick(true);
            (200, "now sick\n".into())
        }
        "/well" => {
            knobs.set_sick(false);
            (200, "now well\n".into())
        }
        "/crash" => {
            eprintln!("probe: crash as asked");
            std::process::exit(i32::try_from(value(query, "code")).unwrap_or(3));
        }
        "/hang" => loop {
            std::thread::sleep(PATIENCE);
        },
        "/json" => {
            let (ready, uptime, starts) = (knobs.ready(), knobs.uptime(), data::starts());
            let text = format!(
                "{{\"ready\":{ready},\"syncing\":{},\"uptime\":{uptime},\"starts\":{starts}}}\n",
                !ready
            );
            (200, text)
        }
        "/starts" => (200, format!("{}\n", data::starts())),
        "/version" => (200, format!("{}\n", knobs.version)),
        "/id" => (200, fs::read_to_string("/proc/self/status").unwrap_or_default()),
        "/log" => {
            println!("{}", query.strip_prefix("line=").unwrap_or("probe: a line"));
            (200, "logged\n".into())
        }
        "/memory" => {
            let mib = usize::try_from(value(query, "mib")).unwrap_or(0);
            // written to, or the kernel would not give it
            std::mem::forget(std::hint::black_box(vec![0xa5u8; mib << 20]));
            (200, format!("mib={mib}\n"))
        }
        "/threads" => {
            let wait = || std::thread::sleep(PATIENCE);
            let spawn = |_: &u64| std::thread::Builder::new().spawn(wait).is_ok();
            (200, format!("threads={}\n", (0..value(query, "n")).take_while(spawn).count()))
        }
        "/" => {
            let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
            (200, format!("probe version={} host={}\n", knobs.version, host.trim()))
        }
        _ => of_world(path),
    }
}

fn of_world(path: &str) -> Answer {
    if let Some(name) = path.strip_prefix("/env/") {
        return std::env::var(name).map_or_else(|_| (404, "not set\n".into()), |v| (200, v + "\n"));
    }
    if let Some(file) = path.strip_prefix("/file/") {
        let read = fs::read_to_string(format!("/{file}"));
        return read.map_or_else(|error| (404, format!("{error}\n")), |text| (200, text));
    }
    if let Some(target) = path.strip_prefix("/get/") {
        let (host, path) = target.split_once('/').unwrap_or((target, ""));
        return fetch(host, path)
            .map_or_else(|error| (502, format!("{error}\n")), |text| (200, text));
    }
    (404, "no such path\n".into())
}

fn of_data(path: &str, query: &str) -> Answer {
    let done = match path {
        "/data/write" => {
            let n = usize::try_from(value(query, "n").max(1)).unwrap_or(1);
            data::write(n).map(|total| format!("blocks={total}\n"))
        }
        "/data/verify" => data::verify().map(|verdict| {
            format!("good={} bad={} {}\n", verdict.good, verdict.bad.len(), verdict.bad.join(","))
        }),
        "/data/fill" => data::fill(value(query, "mib")).map(|()| "filled\n".into()),
        "/data/unfill" => data::unfill().map(|()| "free again\n".into()),
        _ => return (404, "no such path\n".into()),
    };
    done.map_or_else(|error| (500, format!("{error}\n")), |text| (200, text))
}

/// A number of the query.
fn value(query: &str, key: &str) -> u64 {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(name, _)| *name == key).find_map(|(_, value)| value.parse().ok()).unwrap_or(0)
}

/// The target of the request line, once the whole head is read.
fn target(stream: &TcpStream) -> Option<String> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    lines.map_while(Result::ok).find(String::is_empty)?;
    Some(first.split_whitespace().nth(1)?.to_owned())
}

fn fetch(host: &str, path: &str) -> std::io::Result<String> {
    let address = host.to_socket_addrs()?.next().ok_or(std::io::ErrorKind::NotFound)?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
