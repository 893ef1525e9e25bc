//! What the fake daemon answers.

use archy_api::rpc::{ErrorObject, FORBIDDEN, REFUSED, Request};
use archy_types::AppState;
use serde_json::{Value, json};

use super::world::World;

type Answer = Result<Value, Box<ErrorObject>>;

pub(crate) fn answer(world: &mut World, request: &Request) -> Answer {
    let params = request.params.clone().unwrap_or_default();
    let id = params["id"].as_str().unwrap_or_default().to_owned();
    match request.method.as_str() {
        "health" => Ok(json!({"status": "ok", "crash_recovery_complete": true,
            "uptime_seconds": 5, "version": "0.1.0"})),
        "server.get-state" => {
            if !world.subscriptions {
                world.tick();
            }
            Ok(json!({"seq": world.seq, "data": world.state}))
        }
        "node.status" => Ok(json!({"name": "Home", "hostname": "node", "version": "0.1.0",
            "uptime_seconds": 3725, "is_setup": false, "seq": 1, "observed_at": 0,
            "apps": {"installed": 2, "running": 1, "stopped": 0, "failed": 1, "unhealthy": 0}})),
        "system.info" => Ok(info()),
        "system.doctor" => Ok(doctor(world.mended)),
        "system.mend" => {
            world.mended = true;
            Ok(json!({"mends": [{"fix": "remove-container:old",
                "text": "Container old is removed."}]}))
        }
        "system.support" => Ok(json!({"files": [
            {"name": "doctor.txt", "about": "all checks with their mends", "text": "ok\n", "cut": false},
            {"name": "logs/blog.log", "about": "a container's last lines",
                "text": "password=•••\n", "cut": true}]})),
        "package.explain" if !world.state.package_data.contains_key(&id) => {
            refused(REFUSED, "app-not-found", "Not found: no such app.")
        }
        "package.explain" => Ok(explain(&id)),
        "package.available" => Ok(json!({
            "apps": [{"id": "shop", "name": "Shop", "version": "2.0.0", "description": "Sells.",
                "category": null, "source": "local", "installed": false, "icon": "",
                "screenshots": [], "rights": [], "needs": {"memory_bytes": 1024,
                "storage_bytes": null, "architectures": [], "apps": []}}],
            "broken": [{"name": "broken", "error": {"code": "manifest-invalid",
                "message": "Invalid manifest: line 1."}}]})),
        "package.history" => {
            let records: Vec<_> = world
                .journal
                .iter()
                .rev()
                .filter(|record| id.is_empty() || record.package_id == id)
                .collect();
            Ok(json!({"operations": records}))
        }
        "package.config.get" => Ok(config()),
        "package.exec" => exec(&params),
        "package.plan" if params["action"] == "update" => plan_update(&id),
        "package.plan" => plan(&id),
        "package.update" if id == "greedy" && params["consent"] != "sha256:00" => {
            refused(REFUSED, "consent-needed", "It now wants more.")
        }
        "package.update" => install(world, &id),
        _ => change(world, &request.method, &id),
    }
}

fn change(world: &mut World, method: &str, id: &str) -> Answer {
    if method == "package.install" {
        return install(world, id);
    }
    if id == "locked" {
        return refused(FORBIDDEN, "insufficient-permissions", "insufficient permissions");
    }
    let Some(data) = world.state.package_data.get(id) else {
        return refused(REFUSED, "app-not-found", "Not found: no such app.");
    };
    let stopped = data.status.state == AppState::Stopped;
    let (kind, during) = match method {
        "package.stop" if stopped => {
            return Ok(json!({"package_id": id, "status": "unchanged", "operation": null}));
        }
        "package.cancel" if id != "mail" => {
            return refused(REFUSED, "nothing-to-cancel", "There is nothing to cancel.");
        }
        "package.cancel" => ("cancel", AppState::Updating),
        "package.start" => ("start", AppState::Starting),
        "package.stop" => ("stop", AppState::Stopping),
        "package.restart" => ("restart", AppState::Starting),
        "package.rollback" => ("rollback", AppState::Updating),
        "package.uninstall" => ("uninstall", AppState::Removing),
        "package.config.set" => ("config", AppState::Starting),
        _ => return refused(-32601, "method-not-found", "Not found: no such method."),
    };
    let operation = world.begin(id, kind, during);
    let mut answer = json!({"package_id": id, "status": kind, "operation": operation});
    if method == "package.stop" && id == "wiki" {
        answer["warning"] = "blog needs wiki, and works again when it is back.".into();
    }
    Ok(answer)
}

fn install(world: &mut World, id: &str) -> Answer {
    match id {
        "unknown" => refused(REFUSED, "manifest-not-found", "Not found: no manifest."),
        "refused" => refused(REFUSED, "port-taken", "Port 80 is taken."),
        _ => {
            let operation = world.begin(id, "install", AppState::Installing);
            Ok(json!({"package_id": id, "status": "installing", "operation": operation}))
        }
    }
}

fn exec(params: &Value) -> Answer {
    let words: Vec<_> =
        params["command"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let exit_code = if words == ["false"] { 9 } else { 0 };
    Ok(json!({"exit_code": exit_code, "output": format!("{}\n", words.join(" "))}))
}

fn plan(id: &str) -> Answer {
    let refused = id == "refused";
    let checks = match refused {
        true => json!([{"severity": "error", "code": "port-taken", "message": "Port 80 is taken.",
            "mend": "Choose another."}]),
        false => {
            json!([{"severity": "note", "code": "data", "message": "2 GiB of data.", "mend": null}])
        }
    };
    Ok(json!({"package_id": id, "generation": 2, "manifest": "sha256:00", "allowed": !refused,
        "checks": checks, "steps": [
            {"kind": "stop-units", "text": "Stops blog.service", "reason": "it is uninstalled"},
            {"kind": "write-unit-file", "text": "Changes blog.container", "reason": "another image",
                "diff": "-Image=a\n+Image=b\n"},
            {"kind": "purge-volume", "text": "Removes volume blog-data with its data",
                "reason": "the owner asked for a purge", "target": "blog-data"}]}))
}

fn plan_update(id: &str) -> Answer {
    if id == "mail" {
        return refused(REFUSED, "manifest-not-found", "Not found: no manifest.");
    }
    let wider = json!({"severity": "warning", "code": "rights-widened",
        "message": "The service main asks for NET_ADMIN.", "mend": null});
    let time = json!({"severity": "note", "code": "update-downtime",
        "message": "The app is away while it is stopped.", "mend": null});
    let checks = if id == "greedy" { json!([wider, time]) } else { json!([time]) };
    let manifest = if id == "same" { "sha256:00" } else { "sha256:01" };
    let manifest = if id == "greedy" { "sha256:00" } else { manifest };
    Ok(json!({"package_id": id, "generation": 2, "manifest": manifest, "allowed": true,
        "checks": checks, "steps": [
            {"kind": "snapshot", "text": "Snapshot", "reason": "its data is saved"}]}))
}

fn config() -> Value {
    json!({"package_id": "blog", "settings": [
        {"key": "title", "label": "Title", "kind": "text", "value": "Ours", "is_set": true,
            "required": false},
        {"key": "count", "label": "Per page", "kind": "number", "default": 5, "is_set": false,
            "required": false, "min": 1.0, "max": 50.0},
        {"key": "token", "label": "Token", "kind": "secret", "is_set": true, "required": true}]})
}

fn doctor(mended: bool) -> Value {
    let mut checks = json!([
        {"area": "host", "name": "daemon", "level": "ok", "text": "version 0.1.0 answers"},
        {"area": "host", "name": "subgid", "level": "fail", "text": "archipelago has 5 of 65536",
            "mend": "`usermod --add-subgids 100000-165535 archipelago`, then log in again"},
        {"area": "space", "name": "data", "level": "warn", "text": "5.9 GiB of 99.9 GiB free on /data (5 %)",
            "mend": "remove what is not needed"},
        {"area": "clock", "name": "synchronised", "level": "unknown",
            "text": "no service that keeps it is known here"}]);
    if !mended {
        checks.as_array_mut().unwrap().push(
            json!({"area": "units", "name": "orphans", "level": "warn",
            "text": "container old is of old, which is not installed",
            "mend": "it holds no data of its own", "fix": "remove-container:old", "app": "old"}),
        );
    }
    json!({"at": 0, "checks": checks})
}

fn explain(id: &str) -> Value {
    if id == "blog" {
        return json!({"package_id": id, "title": "Blog", "version": "1.2.0", "desired": "running",
            "state": "running", "cause": {"code": "running", "text": "It runs."}, "since": 0,
            "actor": {"kind": "user", "name": "cli"}, "health": "healthy", "services": [
                {"name": "main", "container": id, "unit_state": "active", "active_since": 1000,
                    "oneshot": false, "health": "healthy", "check": "http 80/health",
                    "probe": {"at": 60000, "passed": true, "exit_code": 0, "failing": 0, "limit": 3,
                        "next_at": 90000}, "restarts": 0, "out_of_memory": false, "after": []}],
            "needs": [], "needed_by": ["mail"], "notes": [], "log": [], "observed_at": 0});
    }
    json!({"package_id": id, "title": "Mail", "version": "1.2.0", "desired": "running",
        "state": "failed", "since": 3_600_000, "actor": {"kind": "user", "name": "dashboard"},
        "cause": {"code": "service-failed", "text": "main failed (exit-code, exit status 1)."},
        "health": "unhealthy",
        "next": {"text": "It is looked at and repaired again (attempt 3).", "at": 3_700_000},
        "deadline": 3_800_000,
        "repair": {"label": "Restart", "method": "package.restart", "command": "archy restart mail"},
        "services": [
            {"name": "main", "container": id, "unit_state": "failed", "oneshot": false,
                "health": "unhealthy", "check": "exec pg_isready", "restarts": 5, "exit_status": 1,
                "probe": {"at": 3_599_000, "passed": false, "exit_code": 2, "failing": 3, "limit": 3,
                    "output": "no response \u{1b}[31m"},
                "out_of_memory": true, "after": [
                    {"service": "db", "condition": "healthy", "met": false},
                    {"service": "init", "condition": "completed", "met": true}]},
            {"name": "db", "container": "mail-db", "unit_state": "activating", "oneshot": false,
                "health": "unknown", "check": "tcp 5432", "restarts": 1, "out_of_memory": false,
                "probe_unknown": {"code": "podman-timeout", "text": "Podman does not answer"},
                "after": []}],
        "needs": [{"what": "an app for relay", "app": "blog", "optional": false, "met": true,
                "text": "runs"},
            {"what": "wiki", "optional": true, "met": false, "text": "not installed"}],
        "needed_by": [], "notes": [],
        "last_failed": {"id": 7, "package_id": id, "kind": "recover", "started": 3_500_000,
            "actor": {"kind": "system"}, "ended": 3_562_000, "outcome": "failed", "steps": [],
            "error": {"code": "unit-failed", "message": "mail.service did not start: failed."}},
        "log": [{"ts": 3_561_000, "service": "main", "stream": "stderr", "line": "cannot open db"}],
        "stale_because": {"code": "podman-timeout", "text": "Podman does not answer"},
        "observed_at": 3_590_000})
}

fn info() -> Value {
    json!({"version": "0.1.0", "hostname": "node", "os": "Debian", "kernel": "6.12",
        "architecture": "amd64", "node_mode": true, "host_ip": "192.0.2.1",
        "podman_version": "5.4.2", "podman_floor": "5.4.0", "systemd_version": "257",
        "user": {"name": "archipelago", "uid": 1000, "lingering": true, "subuids": 65536,
            "subgids": 5},
        "cgroup_controllers": ["pids"], "data_dir": "/data", "unit_dir": "/units",
        "unit_dir_writable": true, "disk_total_bytes": 107_374_182_400_u64,
        "disk_free_bytes": 6_442_450_944_u64, "memory_total_bytes": 1, "memory_available_bytes": 1,
        "api_addresses": [], "unknown": []})
}

fn refused(number: i64, code: &'static str, message: &str) -> Answer {
    Err(Box::new(ErrorObject::new(number, code, message)))
}
