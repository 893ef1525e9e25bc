//! One container: the parts without a file of their own.

use archy_types::{ServiceName, id::check_dns_label};
use indexmap::IndexMap;

use super::{Rules, Written, forbidden};
use crate::check::shorten;
use crate::model::{NetworkMode, Service};
use crate::path::Path;
use crate::schema::Port;

/// Seconds of the longest grace that a shutdown of the node honours: it gives the user manager 29
/// minutes (`packaging/systemd/user-manager.conf`), and each unit half a minute beyond its grace.
const LONGEST_GRACE_SECS: u64 = 1700;

const SIGNALS: &[&str] = &[
    "SIGTERM",
    "SIGINT",
    "SIGQUIT",
    "SIGHUP",
    "SIGUSR1",
    "SIGUSR2",
    "SIGWINCH",
    "SIGKILL",
    "SIGRTMIN+3",
    "SIGRTMIN+4",
];

const DEVICES: &[&str] = &[
    "/dev/dri",
    "/dev/dri/*",
    "/dev/ttyUSB*",
    "/dev/ttyACM*",
    "/dev/ttyAMA*",
    "/dev/serial/by-id/*",
    "/dev/video*",
    "/dev/media*",
    "/dev/snd",
    "/dev/snd/*",
    "/dev/net/tun",
    "/dev/kvm",
    "/dev/fuse",
    "/dev/hidraw*",
    "/dev/bus/usb",
    "/dev/bus/usb/*",
    "/dev/i2c-*",
    "/dev/gpiochip*",
    "/dev/apex_*",
    "/dev/dvb",
    "/dev/dvb/*",
    "/dev/vchiq",
    "/dev/vcsm",
    "/dev/vcsm-cma",
    "nvidia.com/gpu=*",
    "amd.com/gpu=*",
    "intel.com/gpu=*",
];

/// True for a device that a manifest may name.
#[must_use]
pub fn device_allowed(device: &str) -> bool {
    DEVICES.iter().any(|pattern| device_fits(pattern, device))
}

impl<'d> Rules<'_, '_, 'd> {
    pub(super) fn container(&mut self, written: &Written<'d>, names: &[ServiceName]) -> Service {
        let (container, path) = (written.container, &written.path);
        let network = self.network(container.network.as_deref(), &path.key("network"));
        let ports = self.ports(written, &network);
        let (health, health_path) = match written.beside.and_then(|app| app.health.as_ref()) {
            Some(beside) => {
                self.either(container.health.is_some(), "health");
                (Some(beside), self.root.key("health"))
            }
            None => (container.health.as_ref(), path.key("health")),
        };
        let health = health.and_then(|health| self.health(health, &health_path, &ports));
        let env = self.environment(written);
        for (index, text) in container.command.iter().enumerate() {
            self.argument(text, &path.key("command").index(index));
        }
        Service {
            source: self.source(written),
            oneshot: container.oneshot,
            entrypoint: container.entrypoint.clone().filter(|words| !words.is_empty()),
            args: container.command.clone(),
            env: env.plain,
            derived_env: env.derived,
            secret_env: env.secret,
            secret_files: self.secret_files(container, path),
            aliases: self.aliases(container, path, &network),
            network,
            mounts: self.mounts(written),
            devices: self.devices(written),
            health,
            ready: self.ready(written, &ports),
            ports,
            depends_on: self.depends_on(container, path, names),
            resources: self.resources(written),
            security: self.security(written),
            user: self.user(container.user.as_deref(), &path.key("user")),
            working_dir: self.working_dir(container.working_dir.as_deref(), path),
            init: container.init,
            labels: self.labels(&container.labels, path),
            stop_grace_secs: self.grace(container, path),
            stop_signal: self.signal(container.stop_signal.as_deref(), &path.key("stop_signal")),
        }
    }

    /// Reports a key that is written both in and beside `container`.
    pub(super) fn either(&mut self, also_inside: bool, key: &str) {
        if also_inside {
            let message = format!("`{key}` is written in `container` and beside it");
            let path = self.root.key("container").key(key);
            self.error("conflicting-keys", &path, message, "keep one of the two");
        }
    }

    /// Ports in the container, then those beside it, with their paths.
    pub(super) fn written_ports(&self, written: &Written<'d>) -> Vec<(Path, &'d Port)> {
        let inside = written.path.key("ports");
        let beside = self.root.key("ports");
        let outer = written.beside.map_or(&[][..], |app| &app.ports);
        let inner = written.container.ports.iter().enumerate();
        inner
            .map(|(index, port)| (inside.index(index), port))
            .chain(outer.iter().enumerate().map(|(index, port)| (beside.index(index), port)))
            .collect()
    }

    fn network(&mut self, text: Option<&str>, path: &Path) -> NetworkMode {
        let Some(text) = text else { return NetworkMode::App };
        match text {
            "app" | "bridge" | "default" => NetworkMode::App,
            "archy-net" => NetworkMode::Shared,
            "pasta" => NetworkMode::Pasta,
            "none" => NetworkMode::None,
            own if own == self.id => NetworkMode::App,
            _ => {
                let shown = shorten(text);
                if forbidden::shares_namespace(text) {
                    let message = format!("network `{shown}` shares a namespace");
                    let mend = "use `app`; services of an app reach each other by name";
                    self.error("host-namespace", path, message, mend);
                } else {
                    let message = format!("`{shown}` is not a possible network");
                    let mend = "use app, archy-net, pasta or none";
                    self.error("invalid-network", path, message, mend);
                }
                NetworkMode::App
            }
        }
    }

    fn aliases(
        &mut self,
        container: &crate::schema::Container,
        path: &Path,
        network: &NetworkMode,
    ) -> Vec<String> {
        let path = path.key("aliases");
        if !container.aliases.is_empty()
            && matches!(network, NetworkMode::Pasta | NetworkMode::None)
        {
            let message = "names need a network that other containers are on";
            self.warn("useless-alias", &path, message, "use network `app` or `archy-net`");
        }
        for (index, alias) in container.aliases.iter().enumerate() {
            if alias.split('.').any(|label| check_dns_label(label).is_err()) {
                let message = format!("`{}` is not a DNS name", shorten(alias));
                let mend = "use labels of a-z, 0-9 and -, for example `db`";
                self.error("invalid-alias", &path.index(index), message, mend);
            }
        }
        container.aliases.clone()
    }

    fn devices(&mut self, written: &Written<'d>) -> Vec<String> {
        let inside = written.path.key("devices");
        let beside = self.root.key("devices");
        let outer = written.beside.map_or(&[][..], |app| &app.devices);
        let all: Vec<_> = (written.container.devices.iter().enumerate())
            .map(|(index, device)| (inside.index(index), device))
            .chain(outer.iter().enumerate().map(|(index, device)| (beside.index(index), device)))
            .collect();
        for (path, device) in &all {
            if !device_allowed(device) {
                let message = format!("the device `{}` is not on the list", shorten(device));
                let mend = format!("possible are: {}", DEVICES.join(", "));
                self.error("invalid-device", path, message, mend);
            }
        }
        all.into_iter().map(|(_, device)| device.clone()).collect()
    }

    fn user(&mut self, text: Option<&str>, path: &Path) -> Option<String> {
        let text = text?;
        let word = |part: &str| {
            !part.is_empty()
                && part.len() <= 32
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        };
        let (user, group) = text.split_once(':').map_or((text, None), |(u, g)| (u, Some(g)));
        if !word(user) || !group.is_none_or(word) {
            let message = format!("`{}` is not a user", shorten(text));
            self.error("invalid-user", path, message, "write `uid`, `uid:gid` or a name");
        }
        Some(text.to_owned())
    }

    fn working_dir(&mut self, text: Option<&str>, path: &Path) -> Option<String> {
        self.container_path(text?, &path.key("working_dir"))
    }

    fn labels(
        &mut self,
        labels: &IndexMap<String, String>,
        path: &Path,
    ) -> IndexMap<String, String> {
        for key in labels.keys() {
            let path = path.key("labels").key(key);
            if key.starts_with("io.archipelago") || key.starts_with("io.podman") {
                let message = format!("the label `{key}` belongs to the platform");
                self.error("reserved-label", &path, message, "use another prefix");
            } else if key.is_empty() || key.contains(|c: char| c.is_whitespace() || c == '=') {
                let message = "a label's key has white space or `=`, or is empty";
                self.error("invalid-text", &path, message, "write it like `org.example.key`");
            }
        }
        labels.clone()
    }

    fn grace(&mut self, container: &crate::schema::Container, path: &Path) -> u32 {
        let seconds = container.stop_grace_secs.map_or(30, |grace| u64::from(grace.0));
        let path = path.key("stop_grace_secs");
        let seconds = self.range(&path, seconds, 1, 3600, " s");
        if seconds > LONGEST_GRACE_SECS {
            let message = format!("a shutdown of the node does not wait {seconds} s");
            let mend = format!("use {LONGEST_GRACE_SECS} s at most; what is left is ended then");
            self.warn("long-grace", &path, message, mend);
        }
        u32::try_from(seconds).unwrap_or(30)
    }

    fn signal(&mut self, text: Option<&str>, path: &Path) -> Option<String> {
        let text = text?;
        let upper = text.to_ascii_uppercase();
        let name = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
        if SIGNALS.contains(&name.as_str()) {
            return Some(name);
        }
        let message = format!("`{}` is not a possible stop signal", shorten(text));
        self.error("invalid-choice", path, message, format!("use one of: {}", SIGNALS.join(", ")));
        None
    }
}

/// `*` at the end of a pattern stands for one or more letters, digits, `.`, `_`, `-`, `:`.
fn device_fits(pattern: &str, device: &str) -> bool {
    match pattern.strip_suffix('*') {
        None => pattern == device,
        Some(prefix) => device.strip_prefix(prefix).is_some_and(|rest| {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
            !rest.is_empty() && rest.chars().all(plain) && !rest.contains("..")
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices() {
        let on_list = device_allowed;
        for good in [
            "nvidia.com/gpu=all",
            "/dev/dri",
            "/dev/dri/renderD128",
            "/dev/ttyUSB0",
            "/dev/bus/usb/001/002",
        ] {
            assert!(on_list(good), "{good}");
        }
        for bad in [
            "/dev/sda",
            "/dev/mem",
            "/dev/dri/../sda",
            "/dev/ttyUSB",
            "dri",
            "/dev/dri:rw",
            "x.com/gpu=all",
        ] {
            assert!(!on_list(bad), "{bad}");
        }
    }
}
