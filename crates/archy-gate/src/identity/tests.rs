//! What tells machines apart, with a daemon and programs that may be of two.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::node::{Io, Output};
use crate::phase::Capability;

fn both() -> (system::SystemInfo, Seen) {
    let info = serde_json::from_value(serde_json::json!({
        "version": "0.1.0", "hostname": "home", "os": null, "kernel": "6.12", "architecture": "amd64",
        "node_mode": true, "host_ip": null, "podman_version": null, "podman_floor": "5.4",
        "systemd_version": null, "user": {"name": "a", "uid": 1000, "lingering": null, "subuids": null, "subgids": null},
        "cgroup_controllers": null, "data_dir": "/d", "unit_dir": "/u", "unit_dir_writable": true,
        "disk_total_bytes": null, "disk_free_bytes": null, "memory_total_bytes": null,
        "memory_available_bytes": null, "api_addresses": [], "unknown": []
    }));
    let seen = Seen {
        machine: "m".into(),
        boot: "b".into(),
        hostname: "home".into(),
        kernel: "6.12".into(),
        platform: "0.1.0".into(),
    };
    (info.unwrap(), seen)
}

#[test]
fn one_machine_and_others() {
    let (info, seen) = both();
    assert_eq!(difference(&info, &seen), None);
    let other = Seen { hostname: "away".into(), ..seen.clone() };
    assert!(difference(&info, &other).unwrap().contains("host names differ"));
    let other = Seen { platform: "0.2.0".into(), ..seen.clone() };
    assert!(difference(&info, &other).unwrap().contains("versions differ"));
    let other = Seen { kernel: "6.18".into(), ..seen.clone() };
    assert!(difference(&info, &other).is_some());
    let unseen = system::SystemInfo { kernel: None, ..info };
    assert_eq!(difference(&unseen, &seen), None);
}

#[test]
fn the_machines_id_does_not_show() {
    let (_, seen) = both();
    assert!(!seen.machine_digest().contains(&seen.machine.repeat(2)));
    assert!(seen.machine_digest().starts_with("sha256:"));
}

/// Programs of one machine, and a client of a daemon that may be of another.
struct Programs {
    client: Client,
    calls: std::sync::Mutex<Vec<String>>,
}

impl Node for Programs {
    fn driver(&self) -> String {
        "fake".to_owned()
    }

    fn can(&self, _: Capability) -> Result<(), String> {
        Ok(())
    }

    fn client(&self) -> Client {
        self.client.clone()
    }

    async fn exec(&self, call: Call) -> Result<Output, NodeError> {
        let words: Vec<&str> = call.argv.iter().map(String::as_str).collect();
        self.calls.lock().unwrap().push(words.join(" "));
        let stdout = match words.as_slice() {
            ["archy", "--version"] => "archy 0.1.0",
            ["mktemp", ..] => "/var/tmp/archy-gate.AbCd1234\n",
            ["cat", "/proc/sys/kernel/hostname"] => "home\n",
            ["cat", "/proc/sys/kernel/osrelease"] => "6.12\n",
            ["cat", ..] => "some-id\n",
            _ => "",
        };
        Ok(Output { status: 0, stdout: stdout.to_owned(), stderr: String::new() })
    }

    async fn connect(&self, _: SocketAddr) -> Result<Box<dyn Io>, NodeError> {
        Err(NodeError::Incapable("no".to_owned()))
    }

    async fn restart_daemon(&self) -> Result<(), NodeError> {
        Ok(())
    }

    async fn reboot(&self) -> Result<(), NodeError> {
        Ok(())
    }

    async fn power_cut(&self) -> Result<(), NodeError> {
        Ok(())
    }
}

/// What the daemon says of the file.
#[derive(Clone, Copy)]
enum Daemon {
    Reads,
    ReadsAnother,
    Misses,
    Ends,
}

async fn answer(mut stream: tokio::net::UnixStream, daemon: Daemon) {
    let mut asked = Vec::new();
    let mut piece = [0; 4096];
    // the body comes with the head or right after it, and is one line of JSON
    let request: serde_json::Value = loop {
        let read = stream.read(&mut piece).await.unwrap();
        asked.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&asked);
        let body =
            text.split_once("\r\n\r\n").and_then(|(_, body)| serde_json::from_str(body).ok());
        if let Some(request) = body {
            break request;
        }
        assert!(read > 0, "{text}");
    };
    let params = &request["params"];
    let result = match (request["method"].as_str().unwrap(), daemon) {
        ("system.info", _) => Ok(serde_json::to_value(both().0).unwrap()),
        (_, Daemon::Ends) => return,
        (_, Daemon::Misses) => Err(serde_json::json!({
            "code": -32000, "message": "No manifest in that directory.", "data": {"code": "package-dir-invalid"}
        })),
        (_, Daemon::Reads | Daemon::ReadsAnother) => {
            let id = params["target"]["id"].as_str().or(params["id"].as_str()).unwrap();
            let text = format!(
                "app:\n  id: {id}\n  name: Challenge\n  version: 1.0.0\n  services:\n    main:\n      image: localhost/{id}:1\n"
            );
            let text = if matches!(daemon, Daemon::Reads) { text } else { "other".to_owned() };
            Ok(serde_json::json!({
                "package_id": id, "generation": 1, "manifest": Digest::of(text.as_bytes()).to_string(),
                "allowed": true, "steps": [], "checks": []
            }))
        }
    };
    let id = request["id"].clone();
    let body = match result {
        Ok(result) => serde_json::json!({"jsonrpc": "2.0", "result": result, "id": id}),
        Err(error) => serde_json::json!({"jsonrpc": "2.0", "error": error, "id": id}),
    }
    .to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
}

#[tokio::test]
async fn a_daemon_that_does_not_see_the_drivers_file_is_on_another_machine() {
    for (daemon, code, words) in [
        (Daemon::Reads, None, ""),
        (Daemon::ReadsAnother, Some("gate-another-machine"), "read another file"),
        (Daemon::Misses, Some("gate-another-machine"), "does not see a file"),
        (Daemon::Ends, Some("gate-daemon-away"), "cannot be asked"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("d.sock");
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, daemon));
            }
        });
        let node = Programs { client: Client::unix(&socket), calls: std::sync::Mutex::default() };
        let established = establish(&node).await;
        server.abort();
        let refusal = established.err();
        assert_eq!(refusal.as_ref().map(Refusal::code), code, "{refusal:?}");
        if let Some(refusal) = refusal {
            assert!(refusal.to_string().contains(words), "{refusal}");
        }
        let calls = node.calls.lock().unwrap();
        let last = calls.last().unwrap();
        assert_eq!(last, "rm -rf -- /var/tmp/archy-gate.AbCd1234", "nothing is left on the node");
    }
}
