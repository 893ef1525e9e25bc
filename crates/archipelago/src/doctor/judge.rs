//! Facts and how they are judged, area by area. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use archy_types::doctor::{self, Check, Level};
use archy_types::{AppState, Timestamp};

use super::{BUILT, Facts, known, orphans};

/// A certificate that ends within so many milliseconds is told of.
const SOON: i64 = 21 * 86_400_000;
/// A last good copy that is older than this many milliseconds is told of.
const OLD_COPY: i64 = 30 * 86_400_000;
/// Seconds on top of an app's grace until systemd kills its unit.
const STOP_MARGIN: u64 = 30;

/// All checks.
pub(super) fn all(facts: &Facts<'_>) -> Vec<Check> {
    let mut out = Vec::new();
    host(facts, &mut out);
    podman(facts, &mut out);
    systemd(facts, &mut out);
    store(facts, &mut out);
    out.push(certificate(facts));
    space(facts, &mut out);
    out.push(doctor::clock(facts.now, facts.last_seen, BUILT));
    out.push(doctor::synchronised(facts.local.synchronised));
    units(facts, &mut out);
    orphans::all(facts, &mut out);
    apps(facts, &mut out);
    out
}

fn host(facts: &Facts<'_>, out: &mut Vec<Check>) {
    let local = facts.local;
    out.push(Check::ok("host", "daemon", format!("version {} answers", facts.version)));
    if !facts.recovered {
        let text = "operations that an earlier run left open are still at work";
        out.push(Check::warn("host", "recovery", text, "wait; `archy history` shows them"));
    }
    out.push(doctor::kernel(local.kernel.as_deref()));
    out.push(match known(&facts.survey.lingering, "host", "linger") {
        Ok(lingering) => doctor::linger(&local.user, *lingering),
        Err(unknown) => unknown,
    });
    for (name, count) in [("subuid", local.subuids), ("subgid", local.subgids)] {
        out.push(match count {
            Some(count) => doctor::ids(name, &local.user, count),
            None => Check::unknown("host", name, format!("/etc/{name} cannot be read")),
        });
    }
    out.push(doctor::controllers(&facts.survey.observed.host.controllers));
    out.push(doctor::lowest_port(facts.survey.observed.lowest_port.get().copied()));
}

fn podman(facts: &Facts<'_>, out: &mut Vec<Check>) {
    let podman = match known(&facts.survey.podman, "podman", "socket") {
        Ok(podman) => podman,
        Err(unknown) => {
            let mend = "`systemctl --user status podman.socket` as the service user; apps go on";
            out.push(Check::fail("podman", "socket", unknown.text, mend));
            return;
        }
    };
    out.push(Check::ok("podman", "socket", "answers"));
    out.push(doctor::podman(&podman.version));
    out.push(match podman.storage_driver.as_str() {
        "vfs" => Check::warn(
            "podman",
            "storage",
            "vfs copies every image for every container",
            "use a file system that overlay takes, and `driver = \"overlay\"` in storage.conf",
        ),
        driver => Check::ok("podman", "storage", format!("{driver} in {}", podman.graph_root)),
    });
    out.push(match (podman.cgroup_version.as_str(), podman.cgroup_manager.as_str()) {
        ("v2", "systemd") => Check::ok("podman", "cgroups", "v2, by systemd"),
        (version, manager) => Check::warn(
            "podman",
            "cgroups",
            format!("{version}, by {manager}: limits do not hold"),
            "boot with cgroup v2 (`systemd.unified_cgroup_hierarchy=1`)",
        ),
    });
}

fn systemd(facts: &Facts<'_>, out: &mut Vec<Check>) {
    let manager = match known(&facts.survey.manager, "systemd", "manager") {
        Ok(manager) => manager,
        Err(unknown) => {
            let mend =
                "`loginctl enable-linger` for the service user; `systemctl status user@<uid>`";
            out.push(Check::fail("systemd", "manager", unknown.text, mend));
            return;
        }
    };
    let text = format!("systemd {}, {}", manager.version, manager.state);
    out.push(Check::ok("systemd", "manager", text));
    out.push(shutdown(facts, manager.shutdown_limit));
    let ours: BTreeMap<&str, &str> = facts
        .snapshot
        .apps
        .iter()
        .flat_map(|(id, view)| {
            view.services.iter().map(move |s| (s.container.as_str(), id.as_str()))
        })
        .collect();
    let stem = |unit: &str| unit.trim_end_matches(".service").to_owned();
    let strange: Vec<&String> =
        manager.failed.iter().filter(|unit| !ours.contains_key(stem(unit).as_str())).collect();
    if strange.is_empty() {
        out.push(Check::ok("systemd", "failed units", "none beside those of apps"));
    }
    for unit in strange {
        let text = format!("{unit} has failed; it is no app's");
        let mend = format!("`journalctl --user -u {unit}`; its failed state can be taken back");
        let fix = format!("reset-failed:{unit}");
        out.push(Check::warn("systemd", "failed units", text, mend).fixed_by(fix));
    }
}

/// What an app may take to stop must be less than what its user manager may take.
fn shutdown(facts: &Facts<'_>, limit: Option<Duration>) -> Check {
    let Some(limit) = limit.map(|limit| limit.as_secs()) else {
        let text = "how long the user manager may take to stop apps is not known";
        return Check::unknown("systemd", "shutdown", text);
    };
    let slow = facts.apps.iter().flat_map(|app| {
        let graces = app.manifest.services.values().map(|service| service.stop_grace_secs);
        graces.map(|grace| (u64::from(grace) + STOP_MARGIN, app.manifest.id.as_str()))
    });
    match slow.max() {
        Some((needed, app)) if needed > limit => {
            let text = format!(
                "at a shutdown all apps are killed after {limit} s, but {app} may take {needed} s to stop"
            );
            let mend = format!(
                "as root: `systemctl edit user@$(id -u {})` with `[Service]` and `TimeoutStopSec=29min`",
                facts.local.user
            );
            Check::warn("systemd", "shutdown", text, mend)
        }
        slowest => {
            let needed = slowest.map_or(0, |(needed, _)| needed);
            let text = format!("apps may take {limit} s to stop, the slowest takes {needed} s");
            Check::ok("systemd", "shutdown", text)
        }
    }
}

fn store(facts: &Facts<'_>, out: &mut Vec<Check>) {
    let store = facts.store;
    let dir = store.dir.display();
    out.push(match &store.fault {
        Ok(None) => Check::ok("store", "integrity", "whole"),
        Ok(Some(fault)) => Check::fail(
            "store",
            "integrity",
            format!("{dir}/state.db is damaged: {fault}"),
            "restart the daemon: it puts the last good copy in its place",
        ),
        Err(error) => Check::unknown("store", "integrity", error.message.clone()),
    });
    out.push(match &store.write_fault {
        None => Check::ok("store", "writes", "reach the disk"),
        Some(error) => {
            let mend = error.hint.clone().unwrap_or_else(|| "see the checks of space".to_owned());
            let text = format!("{} [{}]", error.message, error.code);
            Check::fail("store", "writes", text, mend)
        }
    });
    out.push(match store.last_good {
        None => Check::warn(
            "store",
            "copy",
            "there is no last good copy yet",
            "one is made after a quiet minute; look at the checks of space if none comes",
        ),
        Some(made) if facts.now.0 - made.0 > OLD_COPY => {
            let mend = "one is made after each change and when the daemon stops: is there space?";
            Check::warn("store", "copy", format!("the last good copy is of {made}"), mend)
        }
        Some(made) => Check::ok("store", "copy", format!("the last good copy is of {made}")),
    });
}

fn certificate(facts: &Facts<'_>) -> Check {
    let renew = "remove archipelago.crt and .key in the certificate's directory and restart the \
                 daemon: it makes a new pair";
    match &facts.local.certificate {
        None => Check::unknown("certificates", "node", "there is none"),
        Some(Err(reason)) => {
            Check::fail("certificates", "node", format!("it is not used: {reason}"), renew)
        }
        Some(Ok((begin, end))) => validity(facts.now, *begin, *end, renew),
    }
}

fn validity(now: Timestamp, begin: Timestamp, end: Timestamp, renew: &str) -> Check {
    if now < begin {
        let text = format!("it counts from {begin} on, and it is {now}");
        return Check::fail("certificates", "node", text, "look at the clock");
    }
    if now > end {
        return Check::fail("certificates", "node", format!("it ended on {end}"), renew);
    }
    if end.0 - now.0 < SOON {
        return Check::warn("certificates", "node", format!("it ends on {end}"), renew);
    }
    Check::ok("certificates", "node", format!("counts until {end}"))
}

fn space(facts: &Facts<'_>, out: &mut Vec<Check>) {
    for (what, path, room) in &facts.local.rooms {
        let path = path.display().to_string();
        out.push(doctor::space(what, &path, *room));
        let inodes = doctor::inodes(&format!("{what} inodes"), &path, *room);
        // a second line only where it says something
        if inodes.level != Level::Ok || *what == "data" {
            out.push(inodes);
        }
    }
}

fn units(facts: &Facts<'_>, out: &mut Vec<Check>) {
    if facts.local.unit_dir_writable {
        out.push(Check::ok("units", "directory", "can be written"));
    } else {
        let user = &facts.local.user;
        let mend = format!("give ~/.config/containers/systemd to {user}");
        out.push(Check::fail("units", "directory", "cannot be written", mend));
    }
    let busy = |id: &archy_types::AppId| {
        let view = facts.snapshot.apps.get(id);
        view.is_some_and(|view| view.operation.as_ref().is_some_and(|o| o.error.is_none()))
    };
    let mut drifted = false;
    for (id, changes) in facts.drift.iter().filter(|(id, _)| !busy(id)) {
        drifted = true;
        out.push(
            match changes {
                Err(error) => Check::unknown("units", "drift", format!("{id}: {}", error.message)),
                Ok(changes) => {
                    let text = format!(
                        "{id} is not as it should be; a pass would: {}",
                        changes.join(", ")
                    );
                    Check::warn("units", "drift", text, "the next pass mends it, within 30 s")
                        .fixed_by(format!("converge:{id}"))
                }
            }
            .about(id.as_str()),
        );
    }
    if !drifted {
        let count = facts.apps.len();
        out.push(Check::ok(
            "units",
            "drift",
            format!("units of {count} apps are as they should be"),
        ));
    }
    unread(facts, out);
}

/// Unit files that systemd has not read.
fn unread(facts: &Facts<'_>, out: &mut Vec<Check>) {
    let observed = &facts.survey.observed;
    let (Some(files), Some(units)) = (observed.unit_files.get(), observed.units.get()) else {
        return;
    };
    let unknown = files.keys().filter(|name| {
        let unit = archy_quadlet::unit_of(name);
        unit.is_some_and(|unit| units.get(&unit).is_some_and(|state| state.load == "not-found"))
    });
    let names: Vec<&str> = unknown.map(String::as_str).collect();
    if !names.is_empty() {
        let text = format!("systemd knows no unit of {}", names.join(", "));
        let mend = "`systemctl --user daemon-reload`; if that does not help, Podman's generator \
                    rejects the file";
        out.push(Check::warn("units", "unread", text, mend).fixed_by("daemon-reload"));
    }
}

fn apps(facts: &Facts<'_>, out: &mut Vec<Check>) {
    if let Some(cause) = &facts.snapshot.stale_because {
        let mend = "what is shown is the last that was seen; see the checks of Podman and systemd";
        out.push(Check::fail("apps", "view", cause.text.clone(), mend));
    }
    let mut well = true;
    for (id, view) in &facts.snapshot.apps {
        let report = &view.report;
        let broken = matches!(
            report.state,
            AppState::Failed | AppState::Unknown | AppState::Unhealthy | AppState::Waiting
        );
        if broken {
            well = false;
            let mend = format!("`archy explain {id}`");
            let check = Check::warn("apps", "state", format!("{id}: {}", report.cause.text), mend);
            out.push(check.about(id.as_str()));
        }
    }
    if well {
        let count = facts.snapshot.apps.len();
        let text = format!("{count} installed, none is failed, waiting or unhealthy");
        out.push(Check::ok("apps", "state", text));
    }
}
