//! Disks, store and clock in tables.

use super::weigh::{Place, Seen, weigh};
use super::*;
use archy_store::StoreError;

const YEAR: i64 = 365 * 86_400_000;
const MIB: u64 = 1024 * 1024;

fn place(what: &'static str, room: Room) -> Place {
    Place { what, path: format!("/{what}").into(), room: Some(room) }
}

fn room(free: u64, inodes_free: u64, read_only: bool) -> Room {
    Room { total: 64 * MIB, free, inodes: 1000, inodes_free, read_only }
}

#[test]
fn what_is_wrong_is_named_with_its_figures() {
    let good = room(60 * MIB, 900, false);
    let full = StoreError::DiskFull { path: "/store/state.db".into() };
    let io = StoreError::Io { path: "/store/state.db".into(), reason: "input/output error".into() };
    for (name, store, data, fault, codes, words) in [
        ("well", good, good, None, &[][..], ""),
        ("a full disk", room(4096, 900, false), good, None, &["disk-full"][..], "4 KiB of 64 MiB"),
        (
            "no inodes",
            good,
            room(60 * MIB, 0, false),
            None,
            &["inodes-full"][..],
            "0 of 1000 inodes",
        ),
        ("read-only", room(60 * MIB, 900, true), good, None, &["store-read-only"][..], "/store"),
        ("data read-only", good, room(0, 0, true), None, &["disk-read-only"][..], "/data"),
        ("a write that failed", good, good, Some(&io), &["store-io"][..], "60 MiB and 900 inodes"),
        (
            "told once",
            room(0, 900, false),
            room(0, 900, false),
            Some(&full),
            &["disk-full"][..],
            "0 KiB",
        ),
        ("low", room(2 * MIB, 900, false), good, None, &["disk-low"][..], "2 MiB of 64 MiB"),
        ("few inodes", good, room(60 * MIB, 40, false), None, &["disk-low"][..], "40 of 1000"),
        (
            "both",
            room(2 * MIB, 900, false),
            room(60 * MIB, 1, false),
            None,
            &["inodes-full", "disk-low"][..],
            "1 of 1000",
        ),
    ] {
        let places = [place("store", store), place("data", data)];
        let found = weigh(&Seen { places: &places, fault, leapt: None });
        let seen: Vec<_> = found.iter().map(|(_, code, ..)| *code).collect();
        assert_eq!(seen, codes, "{name}");
        if let Some((severity, _, text, mend)) = found.first() {
            assert!(text.contains(words), "{name}: {text}");
            assert!(mend.is_some(), "{name}");
            assert_eq!(*severity == Severity::Warning, codes == ["disk-low"], "{name}");
        }
    }
}

#[test]
fn a_clock_that_jumps_is_seen_and_one_that_runs_is_not() {
    let start = Timestamp(1_800_000_000_000);
    let mut leap = Leap::new(start, 0);
    assert_eq!(leap.look(start.plus_millis(5_000), 5_000), None);
    assert_eq!(leap.look(start.plus_millis(40_000), 10_000), None, "a slow correction");
    let ahead = start.plus_millis(YEAR + 45_000);
    assert_eq!(leap.look(ahead, 15_000), Some(YEAR));
    assert_eq!(leap.look(ahead.plus_millis(5_000), 20_000), None);
    assert_eq!(leap.look(start.plus_millis(55_000), 25_000), Some(-YEAR));
}

#[test]
fn doubt_lasts_a_day_and_ends_when_the_clock_is_back() {
    let doubt = Doubt::default();
    assert_eq!(doubt.at(0), None);
    doubt.leapt(YEAR, 1_000);
    assert_eq!(doubt.at(2_000).map(|leapt| leapt.millis), Some(YEAR));
    let found = weigh(&Seen { places: &[], fault: None, leapt: doubt.at(2_000) });
    assert!(found[0].2.contains("ahead by 365 days"), "{}", found[0].2);
    assert_eq!(doubt.at(1_000 + 24 * 3600 * 1000), None);
    doubt.leapt(-YEAR, 3_000);
    assert_eq!(doubt.at(4_000), None);
    // while the node was off
    let now = Timestamp(1_800_000_000_000);
    for (last_seen, doubted) in [
        (None, false),
        (Some(now.plus_millis(-3_600_000)), false),
        (Some(now.plus_millis(-YEAR)), true),
        (Some(now.plus_millis(YEAR)), true),
    ] {
        let doubt = Doubt::default();
        doubt.begin(now, last_seen, 0);
        assert_eq!(doubt.at(1).is_some(), doubted, "{last_seen:?}");
    }
}

#[test]
fn room_of_what_is_not_there_yet_is_that_of_its_parent() {
    assert!(super::room(Path::new("/nonexistent/below")).is_some());
}
