//! Budgets: memory, CPUs, processes, shared memory, ulimits.

use archy_manifest::schema::{Resources, Size, Ulimit, UlimitPair};

use crate::draft::Draft;
use crate::value::{Map, Value};

/// Memory of a container whose source sets no limit: 4 GiB.
const GENEROUS: u64 = 4 << 30;
/// Processes of a container whose source sets no limit.
const GENEROUS_PIDS: u32 = 4096;
/// Bounds of a memory limit in a manifest.
const MEMORY: (u64, u64) = (6 << 20, 1 << 44);

/// Reads the budgets of a service.
pub(super) fn resources(draft: &mut Draft<'_>, service: &Map, place: &str) -> Resources {
    let mut out = Resources::default();
    let mut text = |key: &str| {
        let text = service.get(key)?.as_text()?.to_owned();
        draft.plain(&text, &format!("{place}.{key}"))
    };
    let (mut memory, mut cpus, mut pids) = (text("mem_limit"), text("cpus"), text("pids_limit"));
    let shm = text("shm_size");
    let limits = service.get("deploy").and_then(|d| d.get("resources")?.get("limits").cloned());
    if let Some(limits) = limits {
        let mut of = |key: &str| {
            let text = limits.text_of(key)?.to_owned();
            draft.plain(&text, &format!("{place}.deploy.resources.limits.{key}"))
        };
        memory = memory.or_else(|| of("memory"));
        cpus = cpus.or_else(|| of("cpus"));
        pids = pids.or_else(|| of("pids"));
    }
    out.memory = memory.as_deref().and_then(|text| {
        let size = bytes(text).filter(|size| *size > 0);
        if size.is_none() && text != "0" && text != "-1" {
            draft.find("unreadable", place, format!("the memory limit `{text}`"));
        }
        size.map(|size| Size(size.clamp(MEMORY.0, MEMORY.1)))
    });
    if out.memory.is_none() {
        draft.find("memory", place, "has no memory limit; 4 GiB is set");
        out.memory = Some(Size(GENEROUS));
    }
    out.cpus =
        cpus.and_then(|text| text.parse::<f64>().ok()).filter(|n| (0.01..=1024.0).contains(n));
    let pids = pids.and_then(|text| text.parse::<i64>().ok()).filter(|pids| *pids > 0);
    out.pids =
        Some(pids.and_then(|n| u32::try_from(n).ok()).unwrap_or(GENEROUS_PIDS).min(4_194_304));
    out.shm_size = shm.as_deref().and_then(bytes).filter(|size| *size >= 4096).map(Size);
    let log = service
        .get("logging")
        .and_then(|log| log.get("options")?.text_of("max-size").map(str::to_owned));
    out.log_size = log.as_deref().and_then(bytes).map(|size| Size(size.clamp(64 << 10, 1 << 36)));
    ulimits(draft, service, place, &mut out);
    out
}

fn ulimits(draft: &mut Draft<'_>, service: &Map, place: &str, out: &mut Resources) {
    let Some(Value::Map(all)) = service.get("ulimits") else { return };
    for (name, value) in all {
        let number = |text: &str| match text.trim() {
            "-1" | "unlimited" => Some(1_048_576),
            text => text.parse::<u64>().ok(),
        };
        let limit = match value {
            Value::Scalar { text, .. } => number(text).map(Ulimit::Both),
            Value::Map(_) => {
                let soft = value.text_of("soft").and_then(number);
                let hard = value.text_of("hard").and_then(number);
                soft.zip(hard)
                    .map(|(soft, hard)| Ulimit::Pair(UlimitPair { soft: soft.min(hard), hard }))
            }
            _ => None,
        };
        match limit {
            Some(limit) => _ = out.ulimits.insert(name.to_ascii_lowercase(), limit),
            None => {
                draft.find("unreadable", &format!("{place}.ulimits.{name}"), "is no limit");
            }
        }
    }
}

/// Bytes of a size such as `512m`, `1.5gb` or `64MiB`; all units are powers of 1024.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let shift = match unit.trim().trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return None,
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(1 << shift);
    }
    let value = number.parse::<f64>().ok()? * 2_f64.powi(shift);
    if !(0.0..1e18).contains(&value) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "within the bounds, a fraction of a byte does not count"
    )]
    Some(value as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("512m", Some(512 << 20)),
            ("1.5gb", Some(3 << 29)),
            ("64MiB", Some(64 << 20)),
            ("1024", Some(1024)),
            ("1K", Some(1024)),
            ("", None),
            ("x", None),
            ("1p", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }
}
