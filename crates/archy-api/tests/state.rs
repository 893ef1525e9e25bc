//! The state document has the keys that existing dashboards and scripts read.

use std::collections::BTreeMap;

use archy_api::state::{InterfaceAddresses, PackageState, ServerInfo, StateData, known_health};
use archy_api::subscribe::{PatchOperation, StateFrame};
use archy_types::{AppState, Health};
use serde_json::{Value, json};

#[test]
fn states_in_old_words() {
    for (state, word) in [
        (AppState::Running, "running"),
        (AppState::Unhealthy, "running"),
        (AppState::Stopped, "stopped"),
        (AppState::Failed, "exited"),
        (AppState::Installing, "installing"),
    ] {
        let old = serde_json::to_value(PackageState::from(state)).unwrap();
        assert_eq!(old, word, "{state:?}");
    }
    assert_eq!(known_health(Health::Unhealthy), Some(Health::Unhealthy));
    assert_eq!(known_health(Health::Unknown), None);
    assert_eq!(known_health(Health::Starting), None);
}

#[test]
fn keys() {
    let data = StateData {
        package_data: BTreeMap::new(),
        server_info: ServerInfo { name: "Home".to_owned(), ..ServerInfo::default() },
        observed_at: 3,
        stale_because: None,
        notices: Vec::new(),
        unread: 0,
    };
    assert_eq!(
        serde_json::to_value(data).unwrap(),
        json!({"package-data": {}, "observed-at": 3, "stale-because": null, "notices": [], "unread": 0,
            "server_info": {"name": "Home", "version": "", "hostname": ""}})
    );
    let addresses = InterfaceAddresses {
        tor_address: String::new(),
        lan_address: Some("http://a:1".to_owned()),
        lan_port_auth: Some("gated".to_owned()),
    };
    assert_eq!(
        serde_json::to_value(addresses).unwrap(),
        json!({"tor-address": "", "lan-address": "http://a:1", "lan-port-auth": "gated"})
    );
    let undeclared = serde_json::to_value(InterfaceAddresses::default()).unwrap();
    assert_eq!(undeclared, json!({"tor-address": "", "lan-address": null}));
}

#[test]
fn frames_keep_their_form() {
    let frames = [
        json!({"seq": 1, "snapshot": StateData::default()}),
        json!({"seq": 2, "from": 1, "patch": [
            {"op": "replace", "path": "/observed-at", "value": 9},
            {"op": "add", "path": "/stale-because", "value": null},
            {"op": "remove", "path": "/package-data/blog"}]}),
        json!({"heartbeat": 5}),
    ];
    for frame in frames {
        let read: StateFrame = serde_json::from_value(frame.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), frame);
    }
    let null: PatchOperation =
        serde_json::from_value(json!({"op": "add", "path": "/a", "value": null})).unwrap();
    assert_eq!(null, PatchOperation::Add { path: "/a".to_owned(), value: Value::Null });
}
