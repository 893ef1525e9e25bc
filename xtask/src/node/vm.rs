//! The same root file system under a real kernel, for what namespaces cannot show: limits that bite, LUKS, modules.
//!
//! Software emulation: a boot takes half a minute, nothing timed means anything. A job is a directory with an
//! executable `run`; it comes into the machine as a second disk, runs as root after boot, and ends the machine.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use super::error::NodeError;
use super::tree::{add_user, put, remove_tree};
use super::{base, preflight, recipe, scripts};
use crate::cache::{Cache, at, recipe_hash};
use crate::sh::{self, Cmd, step};

/// What the base gets on top: a kernel and what boots it.
const PACKAGES: &[&str] =
    &["linux-image-cloud-amd64", "initramfs-tools", "udev", "kmod", "zstd", "systemd-timesyncd"];
const TOOLS: &[(&str, &str)] = &[(EMULATOR, "qemu-system-x86"), ("mkfs.ext4", "e2fsprogs")];
pub(super) const EMULATOR: &str = "qemu-system-x86_64";
const SERVICE: &str = include_str!("vm-job.service");
/// The job when none is given.
const LIMITS: &str = include_str!("vm-limits.sh");
const NETWORK: &str = "[Match]\nName=e*\n[Network]\nAddress=10.0.2.15/24\nGateway=10.0.2.2\n";
const KERNEL_LINE: &str = "root=/dev/vda rw console=ttyS0 panic=-1 loglevel=4 systemd.show_status=0 \
    systemd.tty.term.console=dumb systemd.tty.rows.console=50 systemd.tty.columns.console=200";
/// What the job's end looks like on the console.
const EXIT_MARK: &str = "ARCHY-VM-EXIT ";
const LIMIT_SECS: u64 = 1800;
const DISK_BYTES: u64 = 8 << 30;

/// Boots the nodes' root file system under a real kernel and runs a job in it.
#[derive(Debug, clap::Args)]
pub struct VmArgs {
    /// A script, or a directory that holds an executable `run`; without it, our own
    /// checks of limits, LUKS and WireGuard.
    job: Option<PathBuf>,
    /// Ends the machine after so many seconds.
    #[arg(long, default_value_t = LIMIT_SECS)]
    limit: u64,
}

impl Default for VmArgs {
    fn default() -> Self {
        Self { job: None, limit: LIMIT_SECS }
    }
}

/// How a job in the virtual machine ended.
#[derive(Debug)]
pub struct Outcome {
    /// The job's exit code.
    pub code: u8,
    /// All that came over the console, without terminal escapes.
    pub console: String,
}

/// Runs a job and prints the console.
///
/// # Errors
/// As [`run_job`], and when the job ended with another code than 0.
pub fn run(cache: &Cache, args: &VmArgs) -> Result<ExitCode, NodeError> {
    let limit = Duration::from_secs(args.limit);
    let dir = match &args.job {
        Some(job) if job.is_dir() => job.clone(),
        script => job_dir(cache, script.as_deref())?,
    };
    let outcome = run_job(cache, &dir, limit)?;
    sh::print(outcome.console.trim_end());
    if outcome.code == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    Err(NodeError::Vm(format!("the job ended with {}; its words are above", outcome.code)))
}

/// A directory for a script, or for the job of our own with the probe it needs.
fn job_dir(cache: &Cache, script: Option<&Path>) -> Result<PathBuf, NodeError> {
    let dir = cache.dir("vm")?.join("job-dir");
    remove_tree(&dir)?;
    if let Some(path) = script {
        put(&dir.join("run"), &fs::read_to_string(path).map_err(at("cannot read", path))?)?;
        return Ok(dir);
    }
    let probe = crate::images::probe(cache).map_err(|error| NodeError::Vm(error.to_string()))?;
    put(&dir.join("run"), LIMITS)?;
    fs::copy(&probe, dir.join("probe")).map_err(at("cannot copy", &probe))?;
    Ok(dir)
}

/// Runs a job: the directory's `run`, as root, in `/opt/job` with all the directory holds beside it.
///
/// # Errors
/// When the machine cannot be made, does not boot, or the job does not end within the limit.
pub fn run_job(cache: &Cache, job: &Path, limit: Duration) -> Result<Outcome, NodeError> {
    let vm = ensure_base(cache)?;
    let log = cache.dir("logs")?.join(format!("vm-{}.log", std::process::id()));
    let disk = cache.dir("vm")?.join(format!("job-{}.tar", std::process::id()));
    pack(job, &disk)?;
    let ran = step("run the job in a virtual machine", || {
        qemu(cache, &vm, &disk)?.limit(limit).logged(&log)?;
        Ok::<(), NodeError>(())
    });
    let _gone = fs::remove_file(&disk);
    ran?;
    let console = fs::read(&log).map_err(at("cannot read", &log))?;
    let console = plain(&String::from_utf8_lossy(&console));
    let code = console.rsplit_once(EXIT_MARK).and_then(|(_, rest)| {
        rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|code| code.parse().ok())
    });
    let lost = || NodeError::Vm(format!("the job did not end; console log: {}", log.display()));
    let code = code.ok_or_else(lost)?;
    let _read = fs::remove_file(&log);
    Ok(Outcome { code, console })
}

/// The disk is never written to: every run writes to a snapshot.
fn qemu(cache: &Cache, vm: &Path, job: &Path) -> Result<Cmd, NodeError> {
    let cmd = Cmd::new(EMULATOR).env("TMPDIR", cache.dir("vm")?);
    Ok(hardware(cmd, vm, job, (&vm.join("disk.img"), ",cache=unsafe,snapshot=on")))
}

/// The arguments for a machine with a kernel, a disk (with its options) and a job.
pub(super) fn hardware(cmd: Cmd, vm: &Path, job: &Path, disk: (&Path, &str)) -> Cmd {
    let drive = |path: &Path, more: &str| {
        format!("file={},format=raw,if=virtio{more}", path.display().to_string().replace(',', ",,"))
    };
    let cmd = cmd.args(["-M", "q35", "-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max"]);
    let cmd = cmd.args(["-m", "3072", "-smp", "2", "-nographic", "-no-reboot", "-kernel"]);
    let cmd = cmd.arg(vm.join("vmlinuz")).arg("-initrd").arg(vm.join("initrd"));
    let cmd = cmd.args(["-append", KERNEL_LINE, "-drive"]);
    let cmd = cmd.arg(drive(disk.0, disk.1)).arg("-drive").arg(drive(job, ",readonly=on"));
    let cmd = cmd.args(["-netdev", "user,id=n0,restrict=on"]);
    cmd.args(["-device", "virtio-net-pci,netdev=n0,romfile=", "-device", "virtio-rng-pci"])
}

/// Packs a job's directory as the machine expects it on its second disk.
pub(super) fn pack(job: &Path, disk: &Path) -> Result<(), NodeError> {
    let tar = Cmd::new("tar").args(["--owner=0", "--group=0", "--mode=a+rx", "-C"]).arg(job);
    tar.arg("-cf").arg(disk).arg(".").run()?;
    Ok(())
}

/// The machine's disk, kernel and initrd, on a host that can run it.
pub(super) fn ensure_base(cache: &Cache) -> Result<PathBuf, NodeError> {
    if !cfg!(target_arch = "x86_64") {
        return Err(NodeError::Vm("only built for x86-64 so far".into()));
    }
    preflight::check(cache)?;
    preflight::tools(TOOLS)?;
    ensure(cache)
}

/// The machine's disk, kernel and initrd, made when the recipe has changed.
fn ensure(cache: &Cache) -> Result<PathBuf, NodeError> {
    let base = base::ensure(cache)?;
    let vms = cache.dir("vm")?;
    let base_name = recipe::fingerprint();
    let hash =
        recipe_hash([base_name.as_bytes(), include_bytes!("vm.rs").as_slice(), SERVICE.as_bytes()]);
    let vm = vms.join(format!("machine-{hash}"));
    let _lock = cache.lock("vm")?;
    if vm.is_dir() {
        return Ok(vm);
    }
    for entry in fs::read_dir(&vms).map_err(at("cannot list", &vms))?.flatten() {
        if entry.file_name().to_string_lossy().starts_with("machine-") {
            remove_tree(&entry.path())?;
        }
    }
    let part = vms.join(".part");
    remove_tree(&part)?;
    fs::create_dir_all(&part).map_err(at("cannot make", &part))?;
    step("build the virtual machine", || {
        let root = part.join("root");
        Cmd::new("cp").args(["-a", "--reflink=auto"]).arg(&base).arg(&root).run()?;
        install(cache, &root)?;
        settle(&root)?;
        kernel(&root, &part)?;
        disk(&root, &part.join("disk.img"))?;
        remove_tree(&root)?;
        fs::rename(&part, &vm).map_err(at("cannot rename", &part))?;
        Ok::<(), NodeError>(())
    })?;
    Ok(vm)
}

fn install(cache: &Cache, root: &Path) -> Result<(), NodeError> {
    let script = scripts::ensure(cache)?.join("chroot.sh");
    let log = cache.dir("logs")?.join("vm-apt.log");
    let policy = root.join("usr/sbin/policy-rc.d");
    put(&policy, "#!/bin/sh\nexit 101\n")?;
    Cmd::new("chmod").arg("755").arg(&policy).run()?;
    let chroot = || {
        let cmd = Cmd::new("unshare").args(["-m", "bash"]).arg(&script).arg(root);
        cmd.args([
            "/etc/resolv.conf:/etc/resolv.conf",
            "--",
            "env",
            "DEBIAN_FRONTEND=noninteractive",
        ])
    };
    chroot().args(["apt-get", "update", "-qq"]).logged(&log)?;
    let install = ["apt-get", "install", "-qq", "-y", "--no-install-recommends"];
    chroot().args(install).args(PACKAGES).logged(&log)?;
    chroot().args(["apt-get", "clean"]).run()?;
    fs::remove_file(&policy).map_err(at("cannot remove", &policy))?;
    Ok(remove_tree(&root.join("var/lib/apt/lists"))?)
}

/// What a real machine has and a namespace has not: controllers, modules, its own kernel settings, a network.
fn settle(root: &Path) -> Result<(), NodeError> {
    let mut gone = vec![
        root.join("etc/containers/containers.conf.d/50-testnode.conf"),
        root.join("etc/systemd/system/systemd-modules-load.service"),
    ];
    let defaults = fs::read_dir(root.join(recipe::SYSCTL_DIR)).into_iter().flatten().flatten();
    gone.extend(defaults.map(|entry| root.join("etc/sysctl.d").join(entry.file_name())));
    for path in gone {
        let _none = fs::remove_file(path);
    }
    add_user(root)?;
    put(&root.join("etc/hostname"), "vm\n")?;
    put(&root.join("etc/hosts"), "127.0.0.1 localhost vm\n")?;
    put(&root.join("etc/machine-id"), "")?;
    put(&root.join("etc/systemd/network/10-e.network"), NETWORK)?;
    put(&root.join("etc/systemd/system/archy-vm-job.service"), SERVICE)?;
    let units = ["systemd-networkd.service", "archy-vm-job.service"];
    Cmd::new("chroot").arg(root).args(["systemctl", "enable"]).args(units).run()?;
    // a prompt in the middle of the job's words
    Cmd::new("chroot").arg(root).args(["systemctl", "mask", "serial-getty@ttyS0.service"]).run()?;
    let target = ["systemctl", "set-default", "graphical.target"];
    Cmd::new("chroot").arg(root).args(target).run()?;
    Ok(())
}

fn kernel(root: &Path, into: &Path) -> Result<(), NodeError> {
    let boot = root.join("boot");
    for (prefix, name) in [("vmlinuz-", "vmlinuz"), ("initrd.img-", "initrd")] {
        let entries = fs::read_dir(&boot).map_err(at("cannot list", &boot))?;
        let is = |path: &PathBuf| {
            path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(prefix))
        };
        let found = entries.flatten().map(|entry| entry.path()).find(is);
        let found = found.ok_or_else(|| NodeError::Vm(format!("no {name} was installed")))?;
        fs::copy(&found, into.join(name)).map_err(at("cannot copy", &found))?;
    }
    Ok(())
}

fn disk(root: &Path, image: &Path) -> Result<(), NodeError> {
    let file = fs::File::create(image).map_err(at("cannot make", image))?;
    file.set_len(DISK_BYTES).map_err(at("cannot size", image))?;
    Cmd::new("mkfs.ext4").args(["-q", "-d"]).arg(root).arg(image).run()?;
    Ok(())
}

/// Text without terminal escapes and carriage returns.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\r' => {}
            '\u{1b}' => match letters.next() {
                Some('[') => {
                    letters.find(|c| c.is_ascii_alphabetic());
                }
                Some(']') => {
                    letters.find(|c| matches!(c, '\u{7}' | '\u{1b}'));
                }
                _ => {}
            },
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn escapes_are_taken_out() {
        assert_eq!(plain("\u{1b}[0;32mok\u{1b}[0m\r\nnext \u{1b}]0;t\u{7}x"), "ok\nnext x");
    }
}
