//! A real registry for the nodes: Debian's docker-registry at 10.77.0.1:5000, its storage in the cache.
//!
//! It runs in the nodes' network, is started on demand and ends with that network, after the last node.
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use super::error::ImagesError;
use crate::cache::{Cache, write_whole};
use crate::node::fabric::{Fabric, Hold, NAMESPACE};
use crate::node::{Process, ensure_base, ensure_scripts, preflight};
use crate::sh::{Cmd, wait_until};

/// Where the registry answers, from the host and from every node.
pub const ADDRESS: &str = "10.77.0.1:5000";
const IP: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const PORT: u16 = 5000;
const START_LIMIT: Duration = Duration::from_secs(20);
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

const CONFIG: &str = "version: 0.1
log: {level: warn}
storage: {filesystem: {rootdirectory: /srv}, delete: {enabled: true}, cache: {blobdescriptor: inmemory}}
http: {addr: 10.77.0.1:5000}
";

/// Makes sure that the registry answers; it stays up at least as long as the returned hold.
///
/// # Errors
/// When the machine cannot run nodes or the registry does not start.
pub fn ensure(cache: &Cache) -> Result<Hold, ImagesError> {
    preflight::check(cache)?;
    let base = ensure_base(cache)?;
    let log = cache.dir("logs")?.join("registry.log");
    let fabric = Fabric::lock()?;
    let hold = fabric.hold()?;
    fabric.up()?;
    let pid = fabric.registry_pid();
    if Process::from_file(&pid).is_none() {
        let storage = cache.dir("registry")?;
        write_whole(&storage.join("registry.yml"), CONFIG.as_bytes())?;
        let script = ensure_scripts(cache)?.join("registry.sh");
        let cmd = Cmd::new("nsenter").arg(format!("--net=/run/netns/{NAMESPACE}"));
        let cmd = cmd.args(["unshare", "-m", "bash"]).arg(script);
        cmd.arg(&base).arg(&storage).arg(&pid).detached(&log)?;
    }
    wait_until(START_LIMIT, || ask("HEAD", "/v2/").is_ok_and(|code| code == 200).then_some(()))
        .ok_or_else(|| {
            let text = fs::read_to_string(&log).unwrap_or_default();
            let lines = text.lines().rev().take(8).map(|line| format!("\n    {line}"));
            ImagesError::Registry { address: ADDRESS, log: lines.collect() }
        })?;
    drop(fabric);
    Ok(hold)
}

/// Stops the registry and the nodes' network when no node uses them.
///
/// # Errors
/// When the network cannot be removed.
pub fn stop_if_idle() -> Result<(), ImagesError> {
    Ok(Fabric::lock()?.down_if_idle()?)
}

/// True when the registry has a manifest.
pub fn has(repo: &str, digest: &str) -> bool {
    ask("HEAD", &format!("/v2/{repo}/manifests/{digest}")).is_ok_and(|code| code == 200)
}

/// The status code of one request.
fn ask(method: &str, path: &str) -> io::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((IP, PORT)), ANSWER_LIMIT)?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    let accept = "application/vnd.oci.image.manifest.v1+json";
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {ADDRESS}\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let text = String::from_utf8_lossy(&answer);
    let code = text.split_whitespace().nth(1).and_then(|code| code.parse().ok());
    code.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}
