//! From what was seen of disks, store and clock to what the owner should know.

use std::path::PathBuf;

use archy_api::state::Severity;
use archy_store::StoreError;
use archy_types::doctor::{self, Level, Room};

use super::leap::Leapt;

/// A directory and the room on its file system.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// What is kept there.
    pub(super) what: &'static str,
    /// Its path.
    pub(super) path: PathBuf,
    /// Room, when the file system tells.
    pub(super) room: Option<Room>,
}

/// What was seen.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    /// The store's directory comes first.
    pub(super) places: &'a [Place],
    /// Why the last write of the store failed.
    pub(super) fault: Option<&'a StoreError>,
    /// A jump of the clock that is doubted.
    pub(super) leapt: Option<Leapt>,
}

/// Weight, code, text, mend.
pub(super) type Finding = (Severity, &'static str, String, Option<String>);

/// What the owner should know, the gravest first, each code once.
pub(super) fn weigh(seen: &Seen<'_>) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    let mut add = |finding: Finding| {
        if !found.iter().any(|(_, code, ..)| *code == finding.1) {
            found.push(finding);
        }
    };
    for (index, place) in seen.places.iter().enumerate() {
        if let Some(finding) = of_place(place, index == 0) {
            add(finding);
        }
    }
    if let Some(fault) = seen.fault {
        let figures = seen.places.first().and_then(|place| Some((place, place.room?)));
        add(of_fault(fault, figures));
    }
    if let Some(leapt) = seen.leapt {
        add(of_leap(leapt));
    }
    found.sort_by_key(|(severity, ..)| std::cmp::Reverse(*severity));
    found
}

const STANDS: &str = "nothing can be changed on this node; apps go on running.";

fn of_place(place: &Place, store: bool) -> Option<Finding> {
    let (room, path) = (place.room?, place.path.display().to_string());
    let what = place.what;
    if room.read_only {
        let code = if store { "store-read-only" } else { "disk-read-only" };
        let text = format!("{path} ({what}) is mounted read-only: {STANDS}");
        let mend = "`dmesg` says why; repair the file system and mount it again. The rest happens by itself.";
        return Some((Severity::Error, code, text, Some(mend.to_owned())));
    }
    if room.is_full() {
        let check = doctor::space("", &path, Some(room));
        let text = format!("The disk with {what} is full: {}. {STANDS}", check.text);
        return Some((Severity::Error, "disk-full", text, check.mend));
    }
    if room.is_out_of_inodes() {
        let check = doctor::inodes("", &path, Some(room));
        let text = format!("The disk with {what} takes no further file: {}. {STANDS}", check.text);
        return Some((Severity::Error, "inodes-full", text, check.mend));
    }
    let low = [doctor::space("", &path, Some(room)), doctor::inodes("", &path, Some(room))];
    let low = low.into_iter().find(|check| check.level != Level::Ok)?;
    let text = format!("Little room is left for {what}: {}.", low.text);
    Some((Severity::Warning, "disk-low", text, low.mend))
}

fn of_fault(fault: &StoreError, place: Option<(&Place, Room)>) -> Finding {
    let figures = match place {
        Some((place, room)) => format!(
            " {} and {} inodes are free on {}.",
            doctor::size(room.free),
            room.inodes_free,
            place.path.display()
        ),
        None => String::new(),
    };
    let text = format!("The store cannot be written ({fault}): {STANDS}{figures}");
    (Severity::Error, fault.code(), text, Some(fault.hint()))
}

fn of_leap(leapt: Leapt) -> Finding {
    let (way, millis) =
        if leapt.millis < 0 { ("back", -leapt.millis) } else { ("ahead", leapt.millis) };
    let minutes = millis / 60_000;
    let much = match (minutes / 1440, minutes / 60) {
        (0, 0) => format!("{minutes} min"),
        (0, hours) => format!("{hours} h"),
        (days, _) => format!("{days} days"),
    };
    let text = format!(
        "The clock went {way} by {much}. Sessions, deadlines and pauses do not follow it, and for a \
         day nothing is removed because its time is over."
    );
    let mend = "Look at `timedatectl`; set the clock if it is wrong.".to_owned();
    (Severity::Warning, "clock-jumped", text, Some(mend))
}
