//! Small readers for the ways in which Go writes JSON: `null` for empty, year 1 for never.

use archy_types::{Health, Timestamp};
use serde::{Deserialize, Deserializer};

/// `null` is the default.
pub(crate) fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// An RFC 3339 time; empty, `null` and Go's zero time are `None`.
pub(crate) fn time<'de, D>(deserializer: D) -> Result<Option<Timestamp>, D::Error>
where
    D: Deserializer<'de>,
{
    let text: Option<String> = Option::deserialize(deserializer)?;
    Ok(text.and_then(|t| parse_time(&t)))
}

/// Seconds since 1970; 0 and Go's zero time are `None`.
pub(crate) fn unix_seconds<'de, D>(deserializer: D) -> Result<Option<Timestamp>, D::Error>
where
    D: Deserializer<'de>,
{
    let seconds: Option<i64> = Option::deserialize(deserializer)?;
    Ok(seconds.filter(|s| *s > 0).map(|s| Timestamp(s.saturating_mul(1000))))
}

/// Health as Podman writes it; no check is `None`.
pub(crate) fn health<'de, D>(deserializer: D) -> Result<Option<Health>, D::Error>
where
    D: Deserializer<'de>,
{
    let text: Option<String> = Option::deserialize(deserializer)?;
    Ok(text.and_then(|t| parse_health(&t)))
}

/// The time of an RFC 3339 text; `None` for Go's zero time and for anything else.
pub(crate) fn parse_time(text: &str) -> Option<Timestamp> {
    let millis = text.parse::<jiff::Timestamp>().ok()?.as_millisecond();
    (millis > 0).then_some(Timestamp(millis))
}

/// Health as Podman writes it; an empty text is no check. "stopped" is written while none runs.
pub(crate) fn parse_health(text: &str) -> Option<Health> {
    match text {
        "" | "none" => None,
        "healthy" => Some(Health::Healthy),
        "unhealthy" => Some(Health::Unhealthy),
        "starting" | "reset" => Some(Health::Starting),
        _ => Some(Health::Unknown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, want) in [
            ("1970-01-01T00:00:01Z", Some(Timestamp(1000))),
            ("2025-06-01T12:00:00.123456789+02:00", Some(Timestamp(1_748_772_000_123))),
            ("0001-01-01T00:00:00Z", None),
            ("", None),
            ("yesterday", None),
        ] {
            assert_eq!(parse_time(text), want, "{text}");
        }
    }

    #[test]
    fn healths() {
        assert_eq!(parse_health(""), None);
        assert_eq!(parse_health("healthy"), Some(Health::Healthy));
        assert_eq!(parse_health("starting"), Some(Health::Starting));
        assert_eq!(parse_health("stopped"), Some(Health::Unknown));
    }
}
