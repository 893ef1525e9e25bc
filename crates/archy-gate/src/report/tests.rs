//! Golden texts of all reports.
use super::*;
use crate::chaos::Kind;
use crate::document::{AppRecord, FORMAT, Key, NodeRecord, Payload};
use crate::outcome::{Fault, HarmRecord, Life, Outcome, PhaseResult, verdict};
use crate::phase::Phase;

fn node() -> NodeRecord {
    NodeRecord {
        machine: "sha256:11".into(),
        boots: vec!["b".into()],
        hostname: "n1".into(),
        platform: "0.1.0".into(),
        os: "Debian GNU/Linux 13".into(),
        kernel: "6.12".into(),
        architecture: "amd64".into(),
        podman: "5.4.2".into(),
        systemd: "257".into(),
        controllers: Vec::new(),
        driver: "local".into(),
    }
}

fn document() -> Document {
    let result = |phase, outcome, millis| PhaseResult {
        phase,
        outcome,
        millis,
        requests: 1,
        notes: Vec::new(),
    };
    let fault = Fault::DataLost { place: "volume <data>".into(), detail: "sum \"differs\"".into() };
    let mut update = result(Phase::Update, fault.outcome(), 61_204);
    update.notes.push("asked for 2 times".into());
    let phases = vec![
        result(Phase::Install, Outcome::Passed, 1_234),
        result(
            Phase::Configure,
            Outcome::Inapplicable { reason: "the manifest has no settings".into() },
            0,
        ),
        update,
        result(Phase::Reboot, Outcome::Skipped { reason: "#1: not this node".into() }, 0),
    ];
    let harm = HarmRecord {
        phase: Phase::Update,
        kind: Kind::KillContainer,
        app: Some("shelf".into()),
        after_millis: 1_700,
        note: "shelf-db".into(),
        bit: true,
    };
    let lives = vec![Life { iteration: 1, started: 0, ended: 9, phases, harms: vec![harm] }];
    let app = AppRecord {
        id: "shelf".into(),
        version: "1.0.0".into(),
        manifest: "sha256:00".into(),
        places: vec!["volume data".into()],
        steps: 2,
    };
    let payload = Payload {
        format: FORMAT.into(),
        app,
        node: node(),
        started: 0,
        ended: 9,
        beside: Vec::new(),
        chaos: Some("7".into()),
        verdict: verdict(&lives),
        lives,
    };
    Key::from_seed(&[1; 32]).unwrap().sign(payload).unwrap()
}

#[test]
fn table_for_people() {
    let text = Format::Table.write(&[document()]).unwrap();
    assert_eq!(
        text,
        "shelf 1.0.0 on n1 (Debian GNU/Linux 13, platform 0.1.0): failed
  passed   install             1.2 s
  n/a      config-change       0.0 s  the manifest has no settings
  failed   update             61.2 s  [product] data is lost or damaged in volume <data>: sum \"differs\"; asked for 2 times
  skipped  reboot              0.0 s  #1: not this node
  harm     update              1.7 s  kill-container of shelf: shelf-db
data watched in volume data; 2 test steps of its own
manifest sha256:00
signed by 8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c
"
    );
}

#[test]
fn junit_xml() {
    let text = Format::Junit.write(&[document()]).unwrap();
    assert_eq!(
        text,
        r##"<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
  <testsuite name="shelf.1" tests="4" failures="1" errors="0" skipped="2" time="62.438" hostname="n1">
    <testcase classname="shelf" name="install" time="1.234"/>
    <testcase classname="shelf" name="config-change" time="0.000">
      <skipped message="the manifest has no settings"/>
    </testcase>
    <testcase classname="shelf" name="update" time="61.204">
      <failure type="product:data-lost" message="data is lost or damaged in volume &lt;data&gt;: sum &quot;differs&quot;"/>
    </testcase>
    <testcase classname="shelf" name="reboot" time="0.000">
      <skipped message="#1: not this node"/>
    </testcase>
  </testsuite>
</testsuites>
"##
    );
}

#[test]
fn tap_lines() {
    let text = Format::Tap.write(&[document()]).unwrap();
    assert_eq!(
        text,
        r##"TAP version 14
1..4
ok 1 - shelf/1 install
ok 2 - shelf/1 config-change # SKIP the manifest has no settings
not ok 3 - shelf/1 update
  ---
  blame: product
  code: data-lost
  message: "data is lost or damaged in volume <data>: sum \"differs\""
  ...
ok 4 - shelf/1 reboot # SKIP \#1: not this node
"##
    );
}

#[test]
fn json_is_the_signed_document() {
    let text = Format::Json.write(&[document()]).unwrap();
    assert_eq!(crate::document::verify(text.as_bytes()).unwrap(), document());
}

#[test]
fn markdown_names_who_is_to_blame() {
    let text = markdown(&[document()]);
    assert!(text.starts_with(
        "**failed**: 1 apps, 1 iterations, the last 0 of them green in a row. 1 phases passed, 1 were skipped.\n\
         Failures by who is to blame: app 0, node 0, product 1.\n"
    ));
    assert!(text.contains("| shelf 1.0.0 | failed | 1.2 s | – |"), "{text}");
    assert!(text.contains("| **1 failed** |"), "{text}");
    assert!(text.contains("* iteration 1, shelf, update: [product] data is lost"), "{text}");
    assert!(text.contains("* iteration 1, update after 1.7 s: kill-container of shelf"), "{text}");
}
