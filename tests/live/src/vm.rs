//! A virtual machine with the platform and the probe as its catalog: a real kernel, where a node in namespaces is not
//! enough.
//!
//! Software emulation: everything is some fifteen times slower than on a node.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use xtask::cache::Cache;
use xtask::node::{Machine, Said, put};
use xtask::sh::{step, wait_until};
use xtask::{images, workspace};

use crate::deb;

/// From the start of the emulator to the answer of the daemon.
pub const BOOT: Duration = Duration::from_secs(900);
/// Longest time of a command.
pub const COMMAND: Duration = Duration::from_secs(600);
const CONTAINERFILE: &str = "FROM scratch\nARG VERSION\nCOPY probe /probe\n\
    ENV PROBE_VERSION=$VERSION PROBE_SICK=0\nEXPOSE 8080\nENTRYPOINT [\"/probe\"]\n";

/// The machine, with the platform installed.
#[derive(Debug)]
pub struct Vm {
    /// The machine; removed when dropped.
    pub machine: Machine,
}

fn quoted(argv: &[&str]) -> String {
    let words = argv.iter().map(|word| format!("'{}'", word.replace('\'', "'\\''")));
    words.collect::<Vec<_>>().join(" ")
}

/// The probe's manifest as it lies in the repository.
///
/// # Errors
/// It cannot be read.
pub fn manifest_of_probe() -> anyhow::Result<String> {
    let path = workspace::root().join("tests/apps/probe/manifest.yml");
    std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

impl Vm {
    /// A machine that has booted, with the platform, the probe's manifest in its catalog, and more files, which lie in
    /// `/opt/job`.
    ///
    /// # Errors
    /// This machine cannot run it, or the platform does not come up.
    pub fn new(name: &str, manifest: &str, more: &[(&str, &str)]) -> anyhow::Result<Self> {
        let cache = Cache::locate()?;
        let (deb, probe) = (deb()?, images::probe(&cache)?);
        let files = cache.dir("vm")?.join(format!("{name}-files-{}", std::process::id()));
        let texts = [("Containerfile", CONTAINERFILE), ("manifest.yml", manifest)];
        let mut all: Vec<(PathBuf, &str)> = vec![(deb, "archipelago.deb"), (probe, "probe")];
        for (name, text) in texts.iter().chain(more) {
            put(&files.join(name), text)?;
            all.push((files.join(name), name));
        }
        let all: Vec<(&Path, &str)> = all.iter().map(|(path, to)| (path.as_path(), *to)).collect();
        let machine = Machine::create(&cache, name, &all);
        std::fs::remove_dir_all(&files)?;
        let mut vm = Self { machine: machine? };
        step("boot the machine", || vm.machine.boot(BOOT))?;
        step("install the platform on the machine", || {
            vm.root("install -D -m 644 manifest.yml /opt/archipelago/apps/probe/manifest.yml")?;
            vm.root("dpkg -i archipelago.deb")?;
            vm.until_the_api_answers()
        })?;
        Ok(vm)
    }

    /// Builds the probe's image in a version.
    ///
    /// # Errors
    /// The build fails.
    pub fn build(&mut self, version: &str) -> anyhow::Result<()> {
        let tag = format!("{}/archy/probe:{version}", images::registry::ADDRESS);
        let arg = format!("--build-arg=VERSION={version}");
        // cached layers do not tell apart what was built with another argument
        self.user(&["podman", "build", "-q", "--no-cache", &arg, "-t", &tag, "/opt/job"]).map(drop)
    }

    /// Runs a line of the shell as root, which must work.
    ///
    /// # Errors
    /// It failed.
    pub fn root(&mut self, command: &str) -> anyhow::Result<String> {
        let said = self.machine.exec(command, COMMAND)?;
        ensure!(said.ok(), "`{command}` ended with {}: {}", said.code, said.text);
        Ok(said.text)
    }

    /// Runs a command as the service user, which must work.
    ///
    /// # Errors
    /// It failed.
    pub fn user(&mut self, argv: &[&str]) -> anyhow::Result<String> {
        self.root(&format!("as {}", quoted(argv)))
    }

    /// Runs the command line; a failure of its own is in what it says.
    ///
    /// # Errors
    /// The machine gives no answer.
    pub fn archy(&mut self, argv: &[&str]) -> anyhow::Result<Said> {
        Ok(self.machine.exec(&format!("as archy {}", quoted(argv)), COMMAND)?)
    }

    /// Runs the command line, which must work.
    ///
    /// # Errors
    /// It failed.
    pub fn archy_ok(&mut self, argv: &[&str]) -> anyhow::Result<String> {
        let said = self.archy(argv)?;
        ensure!(said.ok(), "archy {argv:?} ended with {}: {}", said.code, said.text);
        Ok(said.text)
    }

    /// What `archy --json status` says of an app; nothing when it is not installed or nobody answers.
    pub fn app(&mut self, id: &str) -> Option<Value> {
        let said = self.archy(&["--json", "status", id]).ok().filter(Said::ok)?;
        serde_json::from_str(&said.text).ok()
    }

    /// A page of the probe, when it answers well.
    pub fn page(&mut self, path: &str) -> Option<String> {
        let ask = format!("curl -sf -m 60 'http://127.0.0.1:18001{path}'");
        let said = self.machine.exec(&ask, COMMAND).ok()?;
        said.ok().then_some(said.text)
    }

    /// The end of the daemon's log.
    pub fn log(&mut self) -> String {
        let ask = "journalctl -u archipelago -n 60 --no-pager -o cat";
        self.machine.exec(ask, COMMAND).map(|said| said.text).unwrap_or_default()
    }

    /// Waits until the daemon answers.
    ///
    /// # Errors
    /// It does not in time; the error ends with its log.
    pub fn until_the_api_answers(&mut self) -> anyhow::Result<()> {
        let answers = || self.archy(&["--json", "list"]).ok().filter(Said::ok);
        let answers = wait_until(BOOT, answers);
        answers.map(drop).with_context(|| format!("the daemon does not answer:\n{}", self.log()))
    }
}
