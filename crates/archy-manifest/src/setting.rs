//! Checks the value of a setting against its type.

use serde_json::Value;

use crate::model::SettingKind;
use crate::pattern::Pattern;

/// Longest text of a setting in characters when no limit is written.
pub const LONGEST_TEXT: usize = 65_536;

impl SettingKind {
    /// Checks a value that the owner or a default gives.
    ///
    /// # Errors
    /// Why it does not fit, as the rest of a sentence: "is below 5".
    pub fn check(&self, value: &Value) -> Result<(), String> {
        match (self, value) {
            (Self::Text { min_length, max_length, pattern }, Value::String(text)) => {
                length(text, *min_length, *max_length)?;
                let pattern = pattern.as_deref().and_then(|text| Pattern::parse(text).ok());
                match pattern.is_none_or(|pattern| pattern.matches(text)) {
                    true => Ok(()),
                    false => Err("does not match the pattern".to_owned()),
                }
            }
            (Self::Secret, Value::String(text)) => length(text, Some(1), None),
            (Self::Number { min, max, integer }, Value::Number(number)) => {
                let number = number.as_f64().ok_or("is not a number")?;
                check_number(number, *min, *max, *integer)
            }
            (Self::Boolean, Value::Bool(_)) => Ok(()),
            (Self::Choice(choices), Value::String(text)) => match choices.contains(text) {
                true => Ok(()),
                false => Err(format!("is none of: {}", choices.join(", "))),
            },
            (Self::Port, Value::Number(number)) => {
                let port = number.as_u64().filter(|port| (1..=65_535).contains(port));
                port.map(|_| ()).ok_or_else(|| "is not a port from 1 to 65535".to_owned())
            }
            (Self::Path, Value::String(text)) => path(text),
            _ => Err(format!("is not {}", self.noun())),
        }
    }

    /// What a value of this type is called: `text`, `a number`, …
    #[must_use]
    pub const fn noun(&self) -> &'static str {
        match self {
            Self::Text { .. } | Self::Secret => "text",
            Self::Number { .. } => "a number",
            Self::Boolean => "true or false",
            Self::Choice(_) => "one of the choices",
            Self::Port => "a port number",
            Self::Path => "a path",
        }
    }
}

fn length(text: &str, least: Option<u32>, most: Option<u32>) -> Result<(), String> {
    let length = text.chars().count();
    let limit = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    match (least, most) {
        (Some(least), _) if length < limit(least) => Err(format!("is shorter than {least}")),
        (_, Some(most)) if length > limit(most) => Err(format!("is longer than {most}")),
        (_, None) if length > LONGEST_TEXT => Err(format!("is longer than {LONGEST_TEXT}")),
        _ => Ok(()),
    }
}

fn check_number(
    number: f64,
    min: Option<f64>,
    max: Option<f64>,
    integer: bool,
) -> Result<(), String> {
    match (min, max) {
        (Some(min), _) if number < min => Err(format!("is below {min}")),
        (_, Some(max)) if number > max => Err(format!("is above {max}")),
        _ if integer && number.fract() != 0.0 => Err("is not a whole number".to_owned()),
        _ => Ok(()),
    }
}

fn path(text: &str) -> Result<(), String> {
    if text.starts_with('/') || text.split('/').any(|part| part == "..") {
        return Err("leaves the app's data directory".to_owned());
    }
    match text.is_empty() || text.chars().any(|c| c.is_control() || matches!(c, ':' | ',')) {
        true => Err("is empty, or has a control character, `:` or `,`".to_owned()),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values() {
        let text = SettingKind::Text {
            min_length: Some(2),
            max_length: Some(4),
            pattern: Some("[a-z]+".to_owned()),
        };
        let number = SettingKind::Number { min: Some(1.0), max: Some(5.0), integer: true };
        let choice = SettingKind::Choice(vec!["a".to_owned()]);
        for (kind, value, good) in [
            (&text, json!("abc"), true),
            (&text, json!("a"), false),
            (&text, json!("abcde"), false),
            (&text, json!("AB"), false),
            (&text, json!(5), false),
            (&number, json!(5), true),
            (&number, json!(0), false),
            (&number, json!(6), false),
            (&number, json!(1.5), false),
            (&choice, json!("a"), true),
            (&choice, json!("b"), false),
            (&SettingKind::Boolean, json!(true), true),
            (&SettingKind::Boolean, json!("true"), false),
            (&SettingKind::Port, json!(80), true),
            (&SettingKind::Port, json!(0), false),
            (&SettingKind::Port, json!(65536), false),
            (&SettingKind::Path, json!("a/b"), true),
            (&SettingKind::Path, json!("/a"), false),
            (&SettingKind::Path, json!("a/../b"), false),
            (&SettingKind::Secret, json!(""), false),
            (&SettingKind::Secret, json!("x"), true),
        ] {
            assert_eq!(kind.check(&value).is_ok(), good, "{kind:?} {value}");
        }
    }
}
