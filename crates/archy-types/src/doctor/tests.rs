//! Facts and how they are judged.

use super::*;

fn room(total: u64, free: u64, inodes_free: u64) -> Option<Room> {
    Some(Room { total, free, inodes: 1000, inodes_free, read_only: false })
}

#[test]
fn room_is_judged_by_share_and_by_size() {
    for (total, free, level) in [
        (100 * GIB, 50 * GIB, Level::Ok),
        (100 * GIB, 3 * GIB, Level::Warn),
        (100 * GIB, GIB / 2, Level::Fail),
        (10 * GIB, GIB / 2, Level::Warn),
        (1000 * GIB, 60 * GIB, Level::Ok),
        (8 * MIB, 4096, Level::Fail),
        (8 * MIB, 7 * MIB, Level::Ok),
    ] {
        let check = space("data", "/data", room(total, free, 500));
        assert_eq!(check.level, level, "{}", check.text);
        assert!(check.text.contains(&size(free)) && check.text.contains(&size(total)));
    }
    assert_eq!(space("data", "/data", None).level, Level::Unknown);
    let read_only = Room { read_only: true, ..room(GIB, GIB, 5).unwrap() };
    assert_eq!(space("data", "/data", Some(read_only)).level, Level::Fail);
}

#[test]
fn inodes_are_judged() {
    for (free, level) in [(900, Level::Ok), (40, Level::Warn), (7, Level::Fail), (0, Level::Fail)] {
        assert_eq!(inodes("inodes", "/data", room(GIB, GIB, free)).level, level, "{free}");
    }
    let uncounted = Room { inodes: 0, inodes_free: 0, ..room(GIB, GIB, 0).unwrap() };
    assert_eq!(inodes("inodes", "/data", Some(uncounted)).level, Level::Ok);
    assert!(!uncounted.is_out_of_inodes());
}

#[test]
fn clocks() {
    const DAY: i64 = 86_400_000;
    let (built, seen) = (Timestamp(1_700_000_000_000), Timestamp(1_750_000_000_000));
    for (now, last, level) in [
        (seen.plus_millis(DAY), Some(seen), Level::Ok),
        (seen.plus_millis(365 * DAY), Some(seen), Level::Warn),
        (seen.plus_millis(-DAY), Some(seen), Level::Warn),
        (seen.plus_millis(-1000), Some(seen), Level::Ok),
        (Timestamp(0), Some(seen), Level::Fail),
        (seen, None, Level::Ok),
    ] {
        let check = clock(now, last, built);
        assert_eq!(check.level, level, "{}", check.text);
        assert_eq!(check.mend.is_some(), level != Level::Ok);
    }
}

#[test]
fn hosts() {
    for (check, level) in [
        (linger("ann", true), Level::Ok),
        (linger("ann", false), Level::Fail),
        (ids("subuid", "ann", 65_536), Level::Ok),
        (ids("subuid", "ann", 5), Level::Fail),
        (controllers(&["cpu".into(), "memory".into(), "pids".into()]), Level::Ok),
        (controllers(&["pids".into()]), Level::Warn),
        (podman("5.4.2"), Level::Ok),
        (podman("4.9.3"), Level::Fail),
        (podman("new"), Level::Unknown),
        (kernel(Some("6.12.0-amd64")), Level::Ok),
        (kernel(Some("5.10.0")), Level::Warn),
        (kernel(None), Level::Unknown),
        (lowest_port(Some(1024)), Level::Ok),
        (lowest_port(None), Level::Unknown),
        (synchronised(Some(false)), Level::Warn),
        (synchronised(None), Level::Unknown),
    ] {
        assert_eq!(check.level, level, "{}", check.text);
    }
}

#[test]
fn sizes() {
    for (bytes, text) in [(0, "0 KiB"), (5 * MIB, "5 MiB"), (GIB + GIB / 2, "1.5 GiB")] {
        assert_eq!(size(bytes), text);
    }
}
