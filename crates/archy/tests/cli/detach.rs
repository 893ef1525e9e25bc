//! `archy gate --detach`: the run goes on in a session of its own when its parent has ended.

use std::io::Write as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getsid, kill_process};

use crate::run::archy;

/// Asks again and again until there is an answer.
fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(Instant::now() < end, "{what} did not come");
        std::thread::yield_now();
    }
}

/// Ends the detached process should a test fail before it has ended.
struct Detached(Pid);

impl Drop for Detached {
    fn drop(&mut self) {
        let _ended = kill_process(self.0, Signal::KILL);
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn a_detached_gate_outlives_its_parent() {
    let dir = tempfile::tempdir().unwrap();
    // a daemon that keeps its caller waiting
    let listener = UnixListener::bind(dir.path().join("d.sock")).unwrap();
    let words = ["--socket", "d.sock", "gate", "--detach", "--apps", "blog", "--out", "run"];
    let parent = archy(dir.path(), &words).code(0).out("without this terminal").out("run/gate.log");
    let pid = parent.out.split("process ").nth(1).and_then(|rest| rest.split(',').next()).unwrap();
    let pid = Pid::from_raw(pid.parse().unwrap()).unwrap();
    let detached = Detached(pid);
    let log = dir.path().join("run/gate.log");
    assert!(log.is_file());

    // it asks the daemon: it runs, and nobody waits for it
    let (mut stream, _) = listener.accept().unwrap();
    assert_eq!(getsid(Some(pid)).unwrap(), pid, "it leads a session of its own");
    assert!(read(&log).is_empty());

    // what becomes of it is in the log
    stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n").unwrap();
    drop((stream, listener));
    until("its end in the log", || read(&log).contains("error[").then_some(()));
    drop(detached);
}

#[test]
fn a_run_that_is_there_is_not_begun_again() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("run")).unwrap();
    std::fs::write(dir.path().join("run/progress.json"), "{}").unwrap();
    let words = ["--socket", "d.sock", "gate", "--detach", "--apps", "blog", "--out", "run"];
    archy(dir.path(), &words)
        .code(3)
        .err("error[gate-run-exists]")
        .err("--resume run/progress.json");
    assert!(!dir.path().join("run/gate.log").exists());
}
