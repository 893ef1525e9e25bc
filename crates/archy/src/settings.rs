//! Settings and ports given as arguments.

use std::collections::BTreeMap;
use std::io::Read as _;

use archy_api::package::{PortChoice, SettingKind};
use archy_api::state::Protocol;
use serde_json::Value;

use crate::error::{CommandError, Kind};

/// Splits `KEY=VALUE`; the value `@PATH` is read from a file and `@-` from standard input.
pub(crate) fn pair(text: &str) -> Result<(String, String), CommandError> {
    let (key, value) =
        text.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or_else(|| {
            CommandError::new(
                Kind::Usage,
                "setting-syntax",
                format!("{text:?} is not of the form KEY=VALUE."),
            )
            .hint("KEY=@PATH reads the value from a file, KEY=@- from standard input.")
        })?;
    let value = match value.strip_prefix('@') {
        None => value.to_owned(),
        Some(path) => read(path).map_err(|error| {
            CommandError::new(
                Kind::NotFound,
                "setting-file",
                format!("The value of {key} cannot be read from {path}: {error}."),
            )
        })?,
    };
    Ok((key.to_owned(), value))
}

fn read(path: &str) -> std::io::Result<String> {
    let mut text = String::new();
    if path == "-" {
        std::io::stdin().read_to_string(&mut text)?;
    } else {
        text = std::fs::read_to_string(path)?;
    }
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

/// All settings of a command line; `kind` knows the kinds where they are known.
pub(crate) fn collect(
    pairs: &[String],
    kind: impl Fn(&str) -> Option<SettingKind>,
) -> Result<BTreeMap<String, Value>, CommandError> {
    pairs
        .iter()
        .map(|text| {
            let (key, value) = pair(text)?;
            let value = typed(&key, &value, kind(&key))?;
            Ok((key, value))
        })
        .collect()
}

/// A text as a value of its kind. Without a kind, `true`, `false` and numbers are what they look
/// like and everything else is a text.
fn typed(key: &str, text: &str, kind: Option<SettingKind>) -> Result<Value, CommandError> {
    let wrong = |what: &str| {
        CommandError::new(
            Kind::Usage,
            "setting-invalid",
            format!("{key} needs {what}, not {text:?}."),
        )
    };
    let number = || serde_json::from_str::<serde_json::Number>(text).ok().map(Value::Number);
    match kind {
        Some(SettingKind::Boolean) => match text {
            "true" | "yes" | "on" => Ok(Value::Bool(true)),
            "false" | "no" | "off" => Ok(Value::Bool(false)),
            _ => Err(wrong("true or false")),
        },
        Some(SettingKind::Number | SettingKind::Port) => number().ok_or_else(|| wrong("a number")),
        Some(_) => Ok(Value::String(text.to_owned())),
        None => Ok(match text {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => number().unwrap_or_else(|| Value::String(text.to_owned())),
        }),
    }
}

/// Reads `DECLARED=HOST[/PROTOCOL]`.
pub(crate) fn port(text: &str) -> Result<PortChoice, String> {
    let bad = || format!("{text:?} is not of the form DECLARED=HOST[/udp]");
    let (declared, host) = text.split_once('=').ok_or_else(bad)?;
    let (host, protocol) = match host.split_once('/') {
        None => (host, Protocol::Tcp),
        Some((host, "tcp")) => (host, Protocol::Tcp),
        Some((host, "udp")) => (host, Protocol::Udp),
        Some(_) => return Err(bad()),
    };
    let number = |text: &str| text.parse().ok().filter(|port: &u16| *port > 0).ok_or_else(bad);
    Ok(PortChoice { declared: number(declared)?, protocol, host: number(host)? })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_by_kind() {
        for (text, kind, value) in [
            ("5", None, json!(5)),
            ("5", Some(SettingKind::Text), json!("5")),
            ("5", Some(SettingKind::Number), json!(5)),
            ("yes", Some(SettingKind::Boolean), json!(true)),
            ("yes", None, json!("yes")),
            ("true", None, json!(true)),
            ("", Some(SettingKind::Secret), json!("")),
        ] {
            assert_eq!(typed("k", text, kind).unwrap(), value, "{text} {kind:?}");
        }
        assert!(typed("k", "x", Some(SettingKind::Port)).is_err());
        assert!(typed("k", "2", Some(SettingKind::Boolean)).is_err());
    }

    #[test]
    fn ports() {
        let choice = port("53=5353/udp").unwrap();
        assert_eq!((choice.declared, choice.host, choice.protocol), (53, 5353, Protocol::Udp));
        for bad in ["80", "a=1", "1=0", "1=2/sctp", "1=70000"] {
            assert!(port(bad).is_err(), "{bad}");
        }
    }
}
