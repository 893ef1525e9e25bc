//! An overloaded machine: there every answer is late, and that says nothing about the app.

use std::fs;
use std::time::Duration;

/// Pressure of the last ten seconds from which on answers are late for its sake (the kernel's
/// `Documentation/accounting/psi.rst`): percent of the time in which something had to wait.
const HEAVY: &[(&str, f64)] = &[("cpu", 40.0), ("io", 40.0), ("memory", 20.0)];
/// How many times as long an answer may take then, and the longest time for it. Podman's own limit
/// for a check is above that.
const TIMES: u32 = 5;
const LONGEST: Duration = Duration::from_secs(60);

/// The limit for one more try on a machine that is overloaded now; nothing where it is not, or
/// where the kernel does not tell.
pub(super) fn stretched(limit: Duration) -> Option<Duration> {
    let heavy = HEAVY.iter().any(|(of, percent)| {
        let text = fs::read_to_string(format!("/proc/pressure/{of}"));
        text.ok().and_then(|text| some_avg10(&text)).is_some_and(|now| now >= *percent)
    });
    heavy.then(|| longer(limit))
}

fn longer(limit: Duration) -> Duration {
    limit.saturating_mul(TIMES).min(LONGEST).max(limit)
}

/// `some avg10=12.34 avg60=…`
fn some_avg10(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let figure = line.split_whitespace().find_map(|word| word.strip_prefix("avg10="))?;
    figure.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pressure_is_read() {
        let text =
            "some avg10=54.13 avg60=58.68 avg300=32.47 total=1\nfull avg10=0.00 avg60=0 total=0\n";
        assert_eq!(some_avg10(text), Some(54.13));
        for text in ["", "full avg10=1.00", "some avg60=1", "some avg10=x"] {
            assert_eq!(some_avg10(text), None, "{text:?}");
        }
    }

    #[test]
    fn limits_grow_up_to_a_minute() {
        for (limit, then) in [(2, 10), (5, 25), (30, 60), (90, 90)] {
            assert_eq!(longer(Duration::from_secs(limit)), Duration::from_secs(then));
        }
    }
}
