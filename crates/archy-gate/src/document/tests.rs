//! Signing there and back, tampering, the key's file.
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use super::*;
use crate::outcome::{Outcome, PhaseResult};
use crate::phase::PHASES;

fn payload() -> Payload {
    let phases = PHASES.iter().map(|info| PhaseResult {
        phase: info.phase,
        outcome: Outcome::Passed,
        millis: 7,
        requests: 1,
        notes: Vec::new(),
    });
    let life =
        Life { iteration: 1, started: 5, ended: 9, phases: phases.collect(), harms: Vec::new() };
    Payload {
        format: FORMAT.into(),
        app: AppRecord {
            id: "shelf".into(),
            version: "1.0.0".into(),
            manifest: "sha256:00".into(),
            places: vec!["volume data".into()],
            steps: 2,
        },
        node: NodeRecord {
            machine: "sha256:11".into(),
            boots: vec!["b".into()],
            hostname: "n".into(),
            platform: "0.1.0".into(),
            os: "Debian".into(),
            kernel: "6.12".into(),
            architecture: "amd64".into(),
            podman: "5.4.2".into(),
            systemd: "257".into(),
            controllers: vec!["pids".into()],
            driver: "local".into(),
        },
        started: 5,
        ended: 9,
        beside: Vec::new(),
        chaos: Some(u64::MAX.to_string()),
        verdict: Verdict::Passed,
        lives: vec![life],
    }
}

fn signed() -> Value {
    let key = Key::from_seed(&[7; 32]).unwrap();
    serde_json::to_value(key.sign(payload()).unwrap()).unwrap()
}

fn check(value: &Value) -> Result<Document, DocumentError> {
    // as another program may write it: with white space, keys in another order
    verify(serde_json::to_string_pretty(value).unwrap().as_bytes())
}

#[test]
fn a_signed_document_is_verified() {
    let document = check(&signed()).unwrap();
    assert_eq!(document.payload, payload());
    assert_eq!(document.signature.key, Key::from_seed(&[7; 32]).unwrap().public());
}

#[test]
fn every_change_is_found() {
    let places = [
        "/payload/app/manifest",
        "/payload/node/machine",
        "/payload/lives/0/phases/3/outcome",
        "/payload/lives/0/phases/3/phase",
        "/payload/chaos",
        "/signature/value",
        "/signature/key",
    ];
    for place in places {
        let mut value = signed();
        let target = value.pointer_mut(place).unwrap();
        let text = target.as_str().unwrap_or("x").to_owned();
        *target = match place {
            "/payload/lives/0/phases/3/phase" => "purge".into(),
            "/payload/lives/0/phases/3/outcome" => {
                value["payload"]["lives"][0]["phases"][3]["reason"] = "no".into();
                value["payload"]["lives"][0]["phases"][3]["outcome"] = "skipped".into();
                assert!(matches!(check(&value), Err(DocumentError::Forged)), "{place}");
                continue;
            }
            _ => {
                let other = if text.ends_with('0') { "1" } else { "0" };
                format!("{}{other}", &text[..text.len() - 1]).into()
            }
        };
        assert!(matches!(check(&value), Err(DocumentError::Forged)), "{place}");
    }
    let mut more = signed();
    more["payload"]["app"]["added"] = 1.into();
    assert!(matches!(check(&more), Err(DocumentError::Forged)));
}

#[test]
fn a_verdict_better_than_its_lives_is_refused_even_when_signed() {
    let key = Key::from_seed(&[7; 32]).unwrap();
    let mut lie = payload();
    lie.lives[0].phases[4].outcome = Outcome::Skipped { reason: "lazy".into() };
    let document = serde_json::to_value(key.sign(lie).unwrap()).unwrap();
    assert!(matches!(check(&document), Err(DocumentError::Form(_))));
}

#[test]
fn the_key_is_made_once_and_private() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gate/tester.key");
    let first = Key::open(&path).unwrap().public();
    assert_eq!(Key::open(&path).unwrap().public(), first);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(Key::open(&path), Err(DocumentError::Key { .. })));
}
