//! Scalars: text to the type that the schema asks for.

use serde_json::Value as Json;

use super::{Checker, shorten, types};
use crate::diagnostic::Severity::Error;
use crate::path::Path;
use crate::schema;
use crate::value::Value;
use crate::yaml::Node;

impl Checker<'_, '_> {
    pub(super) fn scalar(
        &mut self,
        node: &Node,
        text: &str,
        schema: &Json,
        path: &Path,
    ) -> Option<Value> {
        match schema.get("format").and_then(Json::as_str) {
            Some("size") => {
                let value = schema::parse_size(text);
                return self.quantity(value, text, path, "invalid-size", SIZE_MEND);
            }
            Some("duration") => {
                let value = schema::parse_seconds(text).map(u64::from);
                return self.quantity(value, text, path, "invalid-duration", DURATION_MEND);
            }
            _ => {}
        }
        match types(schema).first().copied() {
            Some("integer") => self.integer(text, schema, path),
            Some("number") => self.number(node, text, path),
            Some("boolean") => self.boolean(text, path),
            _ => Some(Value::Text(text.to_owned())),
        }
    }

    fn quantity(
        &mut self,
        value: Option<u64>,
        text: &str,
        path: &Path,
        code: &'static str,
        mend: &'static str,
    ) -> Option<Value> {
        if value.is_none() {
            let kind = if code == "invalid-size" { "size" } else { "duration" };
            let message = format!("`{}` is not a {kind}", shorten(text));
            self.sink.report(Error, code, path, message, mend);
        }
        value.map(Value::Unsigned)
    }

    fn integer(&mut self, text: &str, schema: &Json, path: &Path) -> Option<Value> {
        let Ok(number) = text.parse::<i128>() else {
            let message = format!("`{}` is not a whole number", shorten(text));
            self.sink.report(Error, "wrong-type", path, message, "write a whole number");
            return None;
        };
        let bound = |name: &str| schema.get(name).and_then(Json::as_f64);
        let least = bound("minimum").unwrap_or(f64::MIN);
        let greatest = bound("maximum").unwrap_or(match format(schema) {
            "uint64" => 18_446_744_073_709_551_615.0,
            "uint32" => f64::from(u32::MAX),
            _ => f64::MAX,
        });
        let value = match (u64::try_from(number), i64::try_from(number)) {
            (Ok(value), _) => Some(Value::Unsigned(value)),
            (_, Ok(value)) => Some(Value::Signed(value)),
            _ => None,
        };
        #[expect(
            clippy::cast_precision_loss,
            reason = "compared with bounds that f64 holds exactly"
        )]
        let outside = (number as f64) < least || (number as f64) > greatest;
        match value {
            Some(value) if !outside => Some(value),
            _ => {
                let message = format!("{} is out of range", shorten(text));
                let mend = match (bound("minimum"), bound("maximum")) {
                    (Some(least), Some(greatest)) => format!("use {least} to {greatest}"),
                    (Some(least), None) => format!("use at least {least}, in reason"),
                    _ => "use a smaller number".to_owned(),
                };
                self.sink.report(Error, "out-of-range", path, message, mend);
                None
            }
        }
    }

    fn number(&mut self, _node: &Node, text: &str, path: &Path) -> Option<Value> {
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Some(Value::Float(number)),
            _ => {
                let message = format!("`{}` is not a number", shorten(text));
                self.sink.report(Error, "wrong-type", path, message, "write a number such as 0.5");
                None
            }
        }
    }

    fn boolean(&mut self, text: &str, path: &Path) -> Option<Value> {
        match text {
            "true" | "True" | "TRUE" => return Some(Value::Bool(true)),
            "false" | "False" | "FALSE" => return Some(Value::Bool(false)),
            _ => {}
        }
        let mend = match text.to_ascii_lowercase().as_str() {
            "yes" | "on" | "1" | "y" => "write `true`",
            "no" | "off" | "0" | "n" => "write `false`",
            _ => "write `true` or `false`",
        };
        let message = format!("`{}` is neither true nor false", shorten(text));
        self.sink.report(Error, "wrong-type", path, message, mend);
        None
    }
}

const SIZE_MEND: &str = "write a number with Ki, Mi, Gi or Ti, for example 512Mi";
const DURATION_MEND: &str = "write a number with s, m, h or d, for example 30s or 1h30m";

fn format(schema: &Json) -> &str {
    schema.get("format").and_then(Json::as_str).unwrap_or("")
}

/// The type of a plain scalar by the core schema of YAML 1.2.
pub(super) fn infer(text: &str) -> Value {
    match text {
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Value::Text(text.to_owned());
    }
    if let Ok(number) = text.parse::<u64>() {
        return Value::Unsigned(number);
    }
    if let Ok(number) = text.parse::<i64>() {
        return Value::Signed(number);
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Value::Float(number),
        _ => Value::Text(text.to_owned()),
    }
}
