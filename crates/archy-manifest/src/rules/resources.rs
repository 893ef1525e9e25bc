//! Budgets and rights.

use std::collections::{BTreeMap, BTreeSet};

use super::{Rules, Written};
use crate::check::shorten;
use crate::model::{Resources, Security};
use crate::path::Path;
use crate::schema::{self, Ulimit};

/// Memory when none is written: 512 MiB.
pub(super) const DEFAULT_MEMORY: u64 = 512 << 20;
/// Processes and threads when none are written.
pub(super) const DEFAULT_PIDS: u32 = 512;
/// Log that is kept when nothing is written: 10 MiB.
pub(super) const DEFAULT_LOG: u64 = 10 << 20;

/// Capabilities that stay within the container.
pub const PLAIN_CAPABILITIES: &[&str] = &[
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
/// Capabilities that need a rationale.
pub const WEIGHTY_CAPABILITIES: &[&str] =
    &["IPC_LOCK", "NET_ADMIN", "NET_RAW", "SYS_NICE", "SYS_PTRACE", "SYS_RESOURCE"];

const ULIMITS: &[&str] = &[
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

impl<'d> Rules<'_, '_, 'd> {
    pub(super) fn resources(&mut self, written: &Written<'d>) -> Resources {
        let beside = written.beside.and_then(|app| app.resources.as_ref());
        let (resources, path) = match beside {
            Some(beside) => {
                self.either(written.container.resources.is_some(), "resources");
                (beside.clone(), self.root.key("resources"))
            }
            None => (
                written.container.resources.clone().unwrap_or_default(),
                written.path.key("resources"),
            ),
        };
        let memory = resources.memory.map_or(DEFAULT_MEMORY, |size| size.0);
        let pids = u64::from(resources.pids.unwrap_or(DEFAULT_PIDS));
        let log = resources.log_size.map_or(DEFAULT_LOG, |size| size.0);
        let pids = self.range(&path.key("pids"), pids, 1, 4_194_304, "");
        if let Some(cpus) = resources.cpus
            && !(0.01..=1024.0).contains(&cpus)
        {
            let message = format!("{cpus} CPUs are out of range");
            self.error("out-of-range", &path.key("cpus"), message, "use 0.01 to 1024");
        }
        Resources {
            memory_bytes: self.range(&path.key("memory"), memory, 6 << 20, 1 << 44, " bytes"),
            cpus: resources.cpus,
            pids: u32::try_from(pids).unwrap_or(DEFAULT_PIDS),
            log_bytes: self.range(&path.key("log_size"), log, 64 << 10, 1 << 36, " bytes"),
            shm_bytes: resources
                .shm_size
                .map(|size| self.range(&path.key("shm_size"), size.0, 4096, 1 << 40, " bytes")),
            ulimits: self.ulimits(&resources, &path.key("ulimits")),
        }
    }

    fn ulimits(
        &mut self,
        resources: &schema::Resources,
        path: &Path,
    ) -> BTreeMap<String, (u64, u64)> {
        let mut out = BTreeMap::new();
        for (name, limit) in &resources.ulimits {
            let path = path.key(name);
            let (soft, hard) = match limit {
                Ulimit::Both(both) => (*both, *both),
                Ulimit::Pair(pair) => (pair.soft, pair.hard),
            };
            if !ULIMITS.contains(&name.as_str()) {
                let message = format!("`{}` is not a ulimit", shorten(name));
                let mend = format!("use one of: {}", ULIMITS.join(", "));
                self.error("invalid-choice", &path, message, mend);
            } else if soft > hard {
                let message = "the soft limit is above the hard one";
                self.error("out-of-range", &path, message, "lower `soft` or raise `hard`");
            }
            out.insert(name.clone(), (soft, hard));
        }
        out
    }

    pub(super) fn security(&mut self, written: &Written<'d>) -> Security {
        let beside = written.beside.and_then(|app| app.security.as_ref());
        let (security, path) = match beside {
            Some(beside) => {
                self.either(written.container.security.is_some(), "security");
                (beside.clone(), self.root.key("security"))
            }
            None => (
                written.container.security.clone().unwrap_or_default(),
                written.path.key("security"),
            ),
        };
        if security.no_new_privileges == Some(false) {
            let message = "processes may gain privileges by setuid programs";
            let mend = "delete it unless the image needs such a program";
            self.warn("new-privileges", &path.key("no_new_privileges"), message, mend);
        }
        Security {
            capabilities: self.capabilities(&security, &path),
            capabilities_rationale: security.capabilities_rationale.clone(),
            readonly_root: security.readonly_root,
            no_new_privileges: security.no_new_privileges.unwrap_or(true),
            network_policy: security.network_policy,
        }
    }

    fn capabilities(&mut self, security: &schema::Security, path: &Path) -> BTreeSet<String> {
        let reasoned =
            security.capabilities_rationale.as_ref().is_some_and(|text| !text.trim().is_empty());
        let mut out = BTreeSet::new();
        for (index, text) in security.capabilities.iter().enumerate() {
            let path = path.key("capabilities").index(index);
            let upper = text.trim().to_ascii_uppercase();
            let name = upper.strip_prefix("CAP_").unwrap_or(&upper).to_owned();
            if WEIGHTY_CAPABILITIES.contains(&name.as_str()) {
                if !reasoned {
                    let message = format!("{name} reaches beyond what most apps need");
                    let mend = "add `capabilities_rationale:` beside it with one sentence";
                    self.strict("missing-rationale", &path, message, mend);
                }
            } else if !PLAIN_CAPABILITIES.contains(&name.as_str()) {
                let message = format!("the capability `{}` is refused", shorten(text));
                let mend = format!(
                    "possible are: {}, {}",
                    PLAIN_CAPABILITIES.join(", "),
                    WEIGHTY_CAPABILITIES.join(", ")
                );
                self.error("refused-capability", &path, message, mend);
            }
            out.insert(name);
        }
        out
    }
}
