//! Podman's description of a container, as far as an adoption needs it.

use std::collections::{BTreeMap, BTreeSet};

use archy_manifest::model::Protocol;
use archy_types::{Secret, Timestamp};
use serde_json::Value;

/// What Podman tells of a container.
#[derive(Debug, Clone)]
pub struct Inspected {
    /// Full id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Image as it was named when the container was made.
    pub image: String,
    /// Id of the image.
    pub image_id: String,
    /// Digest of the image.
    pub image_digest: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// `running`, `exited`, `created`, …
    pub state: String,
    /// Process id of its first process; 0 when Podman knows of none.
    pub pid: u32,
    /// Process id of the program that watches over it; 0 when Podman knows of none.
    pub monitor_pid: u32,
    /// When it ended last.
    pub finished: Option<Timestamp>,
    /// Mounts that keep data.
    pub mounts: Vec<LegacyMount>,
    /// Published ports.
    pub ports: Vec<LegacyPort>,
    /// Environment; values may be secret.
    pub env: BTreeMap<String, Secret>,
    /// Podman secrets that are variables in it: variable to secret.
    pub env_secrets: BTreeMap<String, String>,
    /// Networks by name, of those that are not its own.
    pub networks: BTreeSet<String>,
    /// It shares its network with a pod or with another container.
    pub shares_network: bool,
    /// Ids in it are mapped otherwise than Podman does by itself.
    pub maps_ids: bool,
    /// Podman removes it when it stops.
    pub auto_remove: bool,
    /// Seconds between its stop signal and its end.
    pub grace_secs: u32,
    /// `systemd` or `cgroupfs`.
    pub cgroup_manager: String,
    /// Its cgroup while it runs.
    pub cgroup: Option<String>,
    /// Directory of what was written in the container itself.
    pub upper_dir: Option<String>,
}

/// A mount that keeps data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegacyMount {
    /// Name of the volume; nothing for a path of the host.
    pub volume: Option<String>,
    /// Path on the host.
    pub source: String,
    /// Path in the container.
    pub target: String,
    /// May be written to.
    pub writable: bool,
}

/// A published port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegacyPort {
    /// Port in the container.
    pub container: u16,
    /// Transport protocol.
    pub protocol: Protocol,
    /// Address on the host; empty is all.
    pub address: String,
    /// Port on the host.
    pub host: u16,
}

/// Seconds that Podman gives a container to stop when nobody says it.
const GRACE_SECS: u32 = 10;

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn list<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

impl Inspected {
    /// Reads what libpod's `containers/{name}/json` answers; nothing when it is not that.
    #[must_use]
    pub fn parse(value: &Value) -> Option<Self> {
        let id = text(value, "/Id");
        if id.is_empty() {
            return None;
        }
        let network = text(value, "/HostConfig/NetworkMode");
        let own = |name: &String| !matches!(name.as_str(), "pasta" | "slirp4netns" | "podman");
        let networks = value.pointer("/NetworkSettings/Networks").and_then(Value::as_object);
        let number = |pointer: &str| value.pointer(pointer).and_then(Value::as_u64);
        let cgroup = text(value, "/State/CgroupPath");
        let upper = text(value, "/GraphDriver/Data/UpperDir");
        Some(Self {
            name: text(value, "/Name"),
            image: text(value, "/ImageName"),
            image_id: text(value, "/Image"),
            image_digest: text(value, "/ImageDigest"),
            labels: labels(value),
            state: text(value, "/State/Status"),
            pid: number("/State/Pid").and_then(|n| n.try_into().ok()).unwrap_or(0),
            monitor_pid: number("/State/ConmonPid").and_then(|n| n.try_into().ok()).unwrap_or(0),
            finished: moment(&text(value, "/State/FinishedAt")),
            mounts: list(value, "/Mounts").filter_map(mount).collect(),
            ports: ports(value),
            env: environment(list(value, "/Config/Env").filter_map(Value::as_str)),
            env_secrets: env_secrets(value),
            networks: networks
                .into_iter()
                .flat_map(|all| all.keys().cloned())
                .filter(own)
                .collect(),
            shares_network: network.starts_with("container:") || network.starts_with("ns:"),
            maps_ids: value.pointer("/HostConfig/IDMappings").is_some_and(|it| !it.is_null()),
            auto_remove: value.pointer("/HostConfig/AutoRemove").and_then(Value::as_bool)
                == Some(true),
            grace_secs: number("/Config/StopTimeout")
                .and_then(|n| n.try_into().ok())
                .unwrap_or(GRACE_SECS),
            cgroup_manager: text(value, "/HostConfig/CgroupManager"),
            cgroup: (!cgroup.is_empty()).then_some(cgroup),
            upper_dir: (!upper.is_empty()).then_some(upper),
            id,
        })
    }

    /// The mount that a path in the container lies on, and what is left of the path below it.
    #[must_use]
    pub fn mount_of<'a, 'b>(&'a self, path: &'b str) -> Option<(&'a LegacyMount, &'b str)> {
        let below = |mount: &'a LegacyMount| {
            let rest = path.strip_prefix(mount.target.trim_end_matches('/'))?;
            (rest.is_empty() || rest.starts_with('/')).then(|| (mount, rest.trim_matches('/')))
        };
        self.mounts.iter().filter_map(below).max_by_key(|(mount, _)| mount.target.len())
    }
}

/// `KEY=value` by key.
pub(super) fn environment<'a>(texts: impl Iterator<Item = &'a str>) -> BTreeMap<String, Secret> {
    let pair = |text: &'a str| text.split_once('=');
    texts.filter_map(pair).map(|(key, value)| (key.to_owned(), Secret::new(value))).collect()
}

fn labels(value: &Value) -> BTreeMap<String, String> {
    let all = value.pointer("/Config/Labels").and_then(Value::as_object);
    let label = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
    all.into_iter().flatten().filter_map(label).collect()
}

fn mount(value: &Value) -> Option<LegacyMount> {
    let kind = text(value, "/Type");
    if kind != "bind" && kind != "volume" {
        return None;
    }
    Some(LegacyMount {
        volume: (kind == "volume").then(|| text(value, "/Name")),
        source: text(value, "/Source"),
        target: text(value, "/Destination"),
        writable: value.get("RW").and_then(Value::as_bool).unwrap_or(true),
    })
}

/// `"8080/tcp": [{"HostIp": "", "HostPort": "80"}]`.
fn ports(value: &Value) -> Vec<LegacyPort> {
    let all = value.pointer("/HostConfig/PortBindings").and_then(Value::as_object);
    let mut found = Vec::new();
    for (inside, bindings) in all.into_iter().flatten() {
        let Some((number, protocol)) = inside.split_once('/') else { continue };
        let protocol = match protocol {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            _ => continue,
        };
        let Ok(container) = number.parse() else { continue };
        for binding in bindings.as_array().into_iter().flatten() {
            let Ok(host) = text(binding, "/HostPort").parse() else { continue };
            let address = text(binding, "/HostIp");
            let address = if address == "0.0.0.0" { String::new() } else { address };
            found.push(LegacyPort { container, protocol, address, host });
        }
    }
    found
}

/// `--secret NAME,type=env,target=VARIABLE` of the command that made the container: its environment
/// shows such a variable neither by name nor by value.
fn env_secrets(value: &Value) -> BTreeMap<String, String> {
    let words: Vec<&str> = list(value, "/Config/CreateCommand").filter_map(Value::as_str).collect();
    let mut found = BTreeMap::new();
    for (index, word) in words.iter().enumerate() {
        let given = match word.strip_prefix("--secret=") {
            Some(given) => given,
            None if *word == "--secret" => words.get(index + 1).copied().unwrap_or_default(),
            None => continue,
        };
        let mut options = given.split(',');
        let Some(name) = options.next() else { continue };
        let options: Vec<&str> = options.collect();
        if options.contains(&"type=env") {
            let target = options.iter().find_map(|option| option.strip_prefix("target="));
            found.insert(target.unwrap_or(name).to_owned(), name.to_owned());
        }
    }
    found
}

/// A moment of RFC 3339; Go's zero time is none.
pub(super) fn moment(text: &str) -> Option<Timestamp> {
    let (date, rest) = text.split_once('T')?;
    let mut date = date.split('-').map(str::parse::<i64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let at = rest.find(['Z', '+', '-']).unwrap_or(rest.len());
    let (clock, zone) = rest.split_at(at);
    let mut clock = clock.split(':');
    let hours: i64 = clock.next()?.parse().ok()?;
    let minutes: i64 = clock.next()?.parse().ok()?;
    let seconds: f64 = clock.next()?.parse().ok()?;
    let offset = match zone.split_once(':') {
        Some((hours, minutes)) => {
            let sign = if hours.starts_with('-') { -1 } else { 1 };
            let hours: i64 = hours.trim_start_matches(['+', '-']).parse().ok()?;
            sign * (hours * 60 + minutes.parse::<i64>().ok()?)
        }
        None => 0,
    };
    if year < 1970 {
        return None;
    }
    // days since 1970, counted in eras of 400 years from March on (Howard Hinnant)
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    #[expect(clippy::cast_possible_truncation, reason = "seconds below 61, in milliseconds")]
    let millis = (seconds * 1000.0) as i64;
    Some(Timestamp(((days * 24 + hours) * 60 + minutes - offset) * 60_000 + millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        for (text, millis) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T12:34:56.5Z", Some(951_827_696_500)),
            ("2026-11-23T18:35:08.123456789+01:00", Some(1_795_455_308_123)),
            ("0001-01-01T00:00:00Z", None),
            ("nonsense", None),
        ] {
            assert_eq!(moment(text).map(|at| at.0), millis, "{text}");
        }
    }
}
