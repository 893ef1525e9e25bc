//! A virtual machine that lives on: a disk of its own, a line for commands, and a plug that can be pulled.
//!
//! The disk is a private copy that the emulator writes through the host's page cache. Killing the emulator takes the
//! machine's memory with it: what the machine had not synced is lost, as in a power cut. A node in namespaces cannot
//! show that, its page cache is the host's.
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::error::NodeError;
use super::process::Process;
use super::tree::{put, remove_tree};
use super::{keep, log_end, preflight, vm};
use crate::cache::{Cache, at};
use crate::sh::{Cmd, ShError, wait_until};

const AGENT: &str = include_str!("vm-agent.sh");
/// From the start of the emulator to its first socket.
const EMULATOR_LIMIT: Duration = Duration::from_secs(30);
/// How often a wait for an answer looks whether the machine still runs.
const LOOK: Duration = Duration::from_millis(500);

/// What a command in a machine has said.
#[derive(Debug, Clone)]
pub struct Said {
    /// Its exit code; 124 when it did not end in time.
    pub code: i32,
    /// Its output, standard error too.
    pub text: String,
}

impl Said {
    /// True when it ended with 0.
    pub fn ok(&self) -> bool {
        self.code == 0
    }
}

/// A virtual machine; removed with its disk when dropped (`ARCHY_KEEP_NODES=1` keeps the disk).
#[derive(Debug)]
pub struct Machine {
    base: PathBuf,
    dir: PathBuf,
    boots: u32,
    asked: u64,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    emulator: Process,
    ended: JoinHandle<Result<(), ShError>>,
    line: BufReader<UnixStream>,
}

impl Machine {
    /// Makes a machine that is off. The files are in `/opt/job` from its first boot on.
    ///
    /// # Errors
    /// When this machine cannot run it, or the base of virtual machines cannot be built.
    pub fn create(cache: &Cache, name: &str, files: &[(&Path, &str)]) -> Result<Self, NodeError> {
        let base = vm::ensure_base(cache)?;
        preflight::tools(&[("setpriv", "util-linux")])?;
        let dir = cache.dir("vm")?.join(format!("{name}-{}", std::process::id()));
        remove_tree(&dir)?;
        let job = dir.join("job");
        put(&job.join("run"), AGENT)?;
        vm::pack(&job, &dir.join("later.tar"))?;
        for (from, to) in files {
            fs::copy(from, job.join(to)).map_err(at("cannot copy", from))?;
        }
        vm::pack(&job, &dir.join("first.tar"))?;
        let machine = Self { base, dir, boots: 0, asked: 0, running: None };
        let copy = Cmd::new("cp").args(["--sparse=always", "--reflink=auto"]);
        copy.arg(machine.base.join("disk.img")).arg(machine.disk()).run()?;
        Ok(machine)
    }

    fn disk(&self) -> PathBuf {
        self.dir.join("disk.img")
    }

    /// Boots; returns when commands are taken, which is after the service user's manager came up.
    ///
    /// # Errors
    /// When it runs already or does not come up in time; the error ends with the console.
    pub fn boot(&mut self, limit: Duration) -> Result<(), NodeError> {
        if self.running.is_some() {
            return Err(NodeError::Vm("it runs already".into()));
        }
        let job = self.dir.join(if self.boots == 0 { "first.tar" } else { "later.tar" });
        self.boots += 1;
        let (socket, pid) = (self.dir.join("line"), self.dir.join("pid"));
        for stale in [&socket, &pid] {
            let _none = fs::remove_file(stale);
        }
        // it ends with this process, however that ends
        let cmd = Cmd::new("setpriv").args(["--pdeathsig", "KILL", vm::EMULATOR]);
        let cmd = vm::hardware(cmd, &self.base, &job, (&self.disk(), ",cache=writeback"));
        let cmd = cmd.arg("-pidfile").arg(&pid).args(["-device", "virtio-serial-pci", "-chardev"]);
        let cmd = cmd.arg(format!("socket,id=line,server=on,wait=off,path={}", socket.display()));
        let cmd = cmd.args(["-device", "virtserialport,chardev=line,name=archy"]);
        let log = self.console_path();
        let ended = thread::spawn(move || cmd.logged(&log));
        let up = wait_until(EMULATOR_LIMIT, || {
            let pid = fs::read_to_string(&pid).ok()?.trim().parse().ok()?;
            Some((Process::running(pid)?, UnixStream::connect(&socket).ok()?))
        });
        let (emulator, line) = up.ok_or_else(|| self.lost("did not start"))?;
        line.set_read_timeout(Some(LOOK)).map_err(at("cannot set up", &socket))?;
        self.running = Some(Running { emulator, ended, line: BufReader::new(line) });
        self.exec("true", limit).map(drop)
    }

    /// Runs one line of bash as root; `as COMMAND` in it runs as the service user.
    ///
    /// # Errors
    /// When the machine is off, ends, or says nothing in time.
    pub fn exec(&mut self, command: &str, limit: Duration) -> Result<Said, NodeError> {
        self.asked += 1;
        let (id, seconds) = (self.asked, limit.as_secs());
        let Some(running) = &mut self.running else {
            return Err(NodeError::Vm("it is off".into()));
        };
        if command.contains('\n') {
            return Err(NodeError::Vm(format!("a command is one line: {command}")));
        }
        let sent =
            running.line.get_mut().write_all(format!("{id} {seconds} {command}\n").as_bytes());
        let ended = sent.map_err(|error| error.to_string()).and_then(|()| {
            // the machine itself ends a command that takes too long
            answer(running, &format!("{id} END "), limit + EMULATOR_LIMIT)
        });
        ended.map_err(|reason| self.lost(&format!("gave no answer to `{command}`: {reason}")))
    }

    /// Ends the machine at once, with all that it had not synced.
    pub fn pull_the_plug(&mut self) {
        if let Some(running) = self.running.take() {
            running.emulator.kill();
            let _killed = running.ended.join();
        }
    }

    fn console_path(&self) -> PathBuf {
        self.dir.join(format!("console-{}.log", self.boots))
    }

    fn lost(&self, what: &str) -> NodeError {
        let bytes = fs::read(self.console_path()).unwrap_or_default();
        let console = vm::plain(&String::from_utf8_lossy(&bytes));
        NodeError::Vm(format!("boot {} {what}{}", self.boots, log_end(&console)))
    }
}

/// Reads lines up to the one that says how the command ended.
fn answer(running: &mut Running, mark: &str, limit: Duration) -> Result<Said, String> {
    let (started, mut text, mut line) = (Instant::now(), String::new(), Vec::new());
    loop {
        match running.line.read_until(b'\n', &mut line) {
            Ok(0) => return Err("the line was closed".into()),
            Ok(_) if line.ends_with(b"\n") => {
                let said = String::from_utf8_lossy(&line).into_owned();
                line.clear();
                if let Some(code) = said.strip_prefix(mark) {
                    let code = code.trim().parse().map_err(|_| format!("not a code: {said}"))?;
                    return Ok(Said { code, text: text.trim().to_owned() });
                }
                text.push_str(&said);
            }
            Ok(_) => {}
            Err(error)
                if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.to_string()),
        }
        if !running.emulator.alive() {
            return Err("the machine has ended".into());
        }
        if started.elapsed() >= limit {
            return Err(format!("nothing within {} s; so far: {text}", limit.as_secs()));
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.pull_the_plug();
        if !keep()
            && let Err(error) = remove_tree(&self.dir)
        {
            crate::sh::say(&format!("cannot remove {}: {error}", self.dir.display()));
        }
    }
}
