//! Scalars with a unit: sizes and durations.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A size in bytes; written as `512Mi`, `10Gi`, `512M` or a number of bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Size(pub u64);

/// A duration in seconds; written as `30s`, `5m`, `1h30m` or a number of seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seconds(pub u32);

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A size: a number of bytes, or a number with Ki, Mi, Gi, Ti (1024) or k, M, G, T (1024 as well, as in Podman), for example `64Mi`, `512M`, `1.5Gi`.",
            "type": ["string", "integer"],
            "format": "size",
            "minimum": 0,
            "examples": ["64Mi", "10Gi"]
        })
    }
}

impl JsonSchema for Seconds {
    fn schema_name() -> Cow<'static, str> {
        "Seconds".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A duration: a number of seconds, or numbers with s, m, h or d, for example `30s`, `5m`, `1h30m`.",
            "type": ["string", "integer"],
            "format": "duration",
            "minimum": 0,
            "examples": ["30s", "5m"]
        })
    }
}

/// Reads a size in bytes; powers of 1024 for every suffix, as Podman does.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let shift = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "ki" | "kb" | "kib" => 10,
        "m" | "mi" | "mb" | "mib" => 20,
        "g" | "gi" | "gb" | "gib" => 30,
        "t" | "ti" | "tb" | "tib" => 40,
        _ => return None,
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(1 << shift);
    }
    let (whole, fraction) = number.split_once('.')?;
    if whole.is_empty() || fraction.is_empty() || fraction.len() > 9 {
        return None;
    }
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let value = u128::from(whole.parse::<u64>().ok()?) * scale + fraction.parse::<u128>().ok()?;
    u64::try_from((value << shift) / scale).ok()
}

/// Reads a duration in seconds.
pub(crate) fn parse_seconds(text: &str) -> Option<u32> {
    let mut rest = text.trim();
    if let Ok(seconds) = rest.parse() {
        return Some(seconds);
    }
    let mut total: u32 = 0;
    let mut last = u32::MAX;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, after) = rest.split_at_checked(digits)?;
        let unit = match after.chars().next()? {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _ => return None,
        };
        if unit >= last {
            return None;
        }
        last = unit;
        total = total.checked_add(number.parse::<u32>().ok()?.checked_mul(unit)?)?;
        rest = after.get(1..)?;
    }
    (last != u32::MAX).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("64Mi", Some(64 << 20)),
            ("512M", Some(512 << 20)),
            ("10Gi", Some(10 << 30)),
            ("1.5Gi", Some(3 << 29)),
            ("2 GiB", Some(2 << 30)),
            ("1k", Some(1024)),
            ("", None),
            ("Mi", None),
            ("-1Mi", None),
            ("1.Mi", None),
            ("1Pi", None),
            ("99999999999999999999", None),
            ("99999999999Ti", None),
        ] {
            assert_eq!(parse_size(text), bytes, "{text}");
        }
    }

    #[test]
    fn durations() {
        for (text, seconds) in [
            ("30", Some(30)),
            ("30s", Some(30)),
            ("5m", Some(300)),
            ("1h30m", Some(5400)),
            ("1d", Some(86_400)),
            ("", None),
            ("s", None),
            ("30m1h", None),
            ("1m1m", None),
            ("5 m", None),
            ("-5s", None),
            ("5ms", None),
            ("4294967296s", None),
        ] {
            assert_eq!(parse_seconds(text), seconds, "{text}");
        }
    }
}
