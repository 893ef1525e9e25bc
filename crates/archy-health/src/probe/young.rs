//! The time from a container's start until something was well in it for the first time.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// Left by the first probe that was well. Each container has a memory file system of its own here,
/// which a new one does not inherit; where there is none, patience ends with youth.
const MARK: &str = "/dev/shm/.archy-health";
/// Units of a second in `/proc/PID/stat` (proc_pid_stat(5)); the same on every Linux.
const TICKS: u64 = 100;

/// Time that is left of this youth; nothing when it is over.
pub(super) fn left(youth: Duration) -> Option<Duration> {
    if Path::new(MARK).exists() {
        return None;
    }
    let stat = fs::read_to_string("/proc/1/stat").ok()?;
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    youth.checked_sub(age(&stat, &uptime)?).filter(|left| !left.is_zero())
}

/// Notes that something was well.
pub(super) fn was_well() {
    // where that is not possible, patience ends with youth
    drop(fs::write(MARK, ""));
}

/// Age of a process, from its `stat` and the system's `uptime`.
fn age(stat: &str, uptime: &str) -> Option<Duration> {
    // the name in parentheses may hold anything; the start is the 20th field after it
    let (_, fields) = stat.rsplit_once(')')?;
    let start: u64 = fields.split_whitespace().nth(19)?.parse().ok()?;
    let seconds = uptime.split_whitespace().next()?;
    let (whole, hundredths) = seconds.split_once('.')?;
    let now = whole.parse::<u64>().ok()? * TICKS + hundredths.parse::<u64>().ok()?;
    Some(Duration::from_millis(now.saturating_sub(start) * 1000 / TICKS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_of_a_process() {
        let fields = "S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 12345 9 9";
        let stat = format!("1 (a ) b) {fields}");
        assert_eq!(age(&stat, "125.95 9.9"), Some(Duration::from_millis(2500)));
        assert_eq!(age(&stat, "1.00 0"), Some(Duration::ZERO));
        assert_eq!(age("", "1.00 0"), None);
        assert_eq!(age(&stat, "x"), None);
    }
}
