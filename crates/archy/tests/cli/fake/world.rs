//! What the fake daemon holds: the state document and a journal.

use std::collections::BTreeMap;

use archy_api::package::{OperationRecord, Outcome};
use archy_api::state::{OperationState, PackageData, PackageState, ServerInfo, StateData};
use archy_types::{Actor, AppState, UserError};
use serde_json::{Value, json};

/// Steps of every operation.
const STEPS: u32 = 3;

pub(crate) struct World {
    pub(crate) subscriptions: bool,
    /// Mends were applied.
    pub(crate) mended: bool,
    pub(crate) seq: u64,
    pub(crate) state: StateData,
    pub(crate) journal: Vec<OperationRecord>,
    pub(crate) calls: Vec<(String, Value)>,
}

impl World {
    pub(crate) fn new() -> Self {
        let server_info = ServerInfo {
            pubkey: None,
            name: "Home".to_owned(),
            version: "0.1.0".to_owned(),
            hostname: "node".to_owned(),
        };
        let mut failed = package("mail", AppState::Failed, "the service main ended with status 1");
        failed.ports[0].host = 8080;
        let package_data = BTreeMap::from([
            ("blog".to_owned(), package("blog", AppState::Running, "started")),
            ("mail".to_owned(), failed),
        ]);
        let state = StateData { package_data, server_info, ..StateData::default() };
        Self {
            subscriptions: true,
            mended: false,
            seq: 1,
            state,
            journal: Vec::new(),
            calls: Vec::new(),
        }
    }

    /// Begins an operation that ends in this state; none means that the app goes away.
    pub(crate) fn begin(&mut self, app: &str, kind: &str, during: AppState) -> i64 {
        let id = i64::try_from(self.journal.len()).unwrap() + 1;
        let actor = Actor::User("cli".to_owned());
        self.journal.push(OperationRecord {
            id,
            package_id: app.to_owned(),
            kind: kind.to_owned(),
            actor: actor.clone(),
            started: 0,
            ended: None,
            outcome: Outcome::Running,
            error: None,
            steps: Vec::new(),
            details: None,
        });
        let data = self
            .state
            .package_data
            .entry(app.to_owned())
            .or_insert_with(|| package(app, during, "asked for"));
        set_state(data, during);
        data.operation = Some(OperationState {
            id,
            kind: kind.to_owned(),
            actor,
            started: 0,
            step: 1,
            steps: STEPS,
            text: "Step 1".to_owned(),
            percent: Some(10),
            bytes: None,
            error: None,
        });
        self.seq += 1;
        id
    }

    /// Goes one step on; false when nothing is at work.
    pub(crate) fn tick(&mut self) -> bool {
        let at_work = self.state.package_data.iter_mut().find_map(|(app, data)| {
            let operation = data.operation.as_mut()?;
            (operation.error.is_none() && app != "slow").then(|| (app.clone(), operation.clone()))
        });
        let Some((app, mut operation)) = at_work else { return false };
        self.seq += 1;
        if operation.step < STEPS {
            operation.step += 1;
            operation.text = format!("Step {}", operation.step);
            self.state.package_data.get_mut(&app).unwrap().operation = Some(operation);
        } else {
            self.end(&app, operation);
        }
        true
    }

    fn end(&mut self, app: &str, mut operation: OperationState) {
        let record = self.journal.iter_mut().find(|record| record.id == operation.id).unwrap();
        record.outcome = match operation.kind.as_str() {
            "cancel" => Outcome::Cancelled,
            _ => Outcome::Done,
        };
        let data = self.state.package_data.get_mut(app).unwrap();
        if app == "broken" {
            let text = "The image of broken cannot be pulled.";
            let error = UserError::new("image-pull-failed", text).hint("Check the name.");
            record.outcome = Outcome::Failed;
            record.error = Some(error.clone());
            operation.error = Some(error);
            data.operation = Some(operation);
            set_state(data, AppState::Failed);
            return;
        }
        data.operation = None;
        match operation.kind.as_str() {
            "uninstall" => drop(self.state.package_data.remove(app)),
            "stop" => set_state(data, AppState::Stopped),
            _ => set_state(data, AppState::Running),
        }
    }
}

fn set_state(data: &mut PackageData, state: AppState) {
    data.state = PackageState::from(state);
    data.status.state = state;
}

fn package(id: &str, state: AppState, cause: &str) -> PackageData {
    let words = serde_json::to_value(PackageState::from(state)).unwrap();
    serde_json::from_value(json!({
        "state": words,
        "health": if state == AppState::Running { json!("healthy") } else { Value::Null },
        "manifest": {
            "id": id, "title": id, "version": "1.2.0",
            "description": {"short": "An app.", "long": "An app."},
            "release-notes": "", "license": "MIT", "wrapper-repo": "", "upstream-repo": "",
            "support-site": "", "marketing-site": "", "donation-url": null, "author": "",
            "website": "", "tier": "local", "category": null, "interfaces": {}
        },
        "static-files": {"license": "", "instructions": "", "icon": ""},
        "installed": {"interface-addresses": {"main": {
            "tor-address": "", "lan-address": "http://192.0.2.1:8080", "lan-port-auth": "gated"}}},
        "status": {
            "state": state, "cause": {"code": "test", "text": cause}, "since": 0,
            "actor": {"kind": "user", "name": "cli"}, "next": null, "repair": null, "deadline": null
        },
        "desired": "running", "generation": 1, "digest": "sha256:00",
        "services": [{
            "name": "main", "container": id, "image": "registry.example/app:1.2.0",
            "unit-state": "active", "health": "healthy", "health-output": null, "restarts": 0,
            "exit-status": null, "active-since": 0
        }],
        "ports": [{"service": "main", "host": 8080, "container": 80, "protocol": "tcp",
            "auth": "gated", "loopback-only": true}],
        "notes": [{"severity": "warning", "code": "not-enforced",
            "message": "The memory limit is not enforced here.", "mend": "Delegate memory."}]
    }))
    .unwrap()
}
