//! One text for one value: JSON as RFC 8785 writes it, for values without fractions.

use std::fmt::Write as _;

use serde_json::Value;

/// A value that has no one text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a whole number: it has no canonical text")]
pub struct NotCanonical(String);

/// The canonical text: keys in order, no white space, whole numbers only.
///
/// # Errors
/// The value holds a fraction.
pub fn canonical(value: &Value) -> Result<String, NotCanonical> {
    let mut out = String::new();
    write(value, &mut out)?;
    Ok(out)
}

fn write(value: &Value, out: &mut String) -> Result<(), NotCanonical> {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) if number.is_f64() => {
            return Err(NotCanonical(number.to_string()));
        }
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(text) => string(text, out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(item, out)?;
            }
            out.push(']');
        }
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            // RFC 8785 orders by UTF-16 units
            entries.sort_by(|(one, _), (other, _)| one.encode_utf16().cmp(other.encode_utf16()));
            out.push('{');
            for (index, (key, item)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                string(key, out);
                out.push(':');
                write(item, out)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

fn string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' => {
                // a String takes everything
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_ordered_and_nothing_is_between() {
        let value = json!({"b": [1, -2, null, true], "a": {"z": "é\n\"\u{1}", "y": {}}, "\u{20ac}": 0, "\r": 1});
        let text = canonical(&value).unwrap();
        assert_eq!(
            text,
            "{\"\\r\":1,\"a\":{\"y\":{},\"z\":\"é\\n\\\"\\u0001\"},\"b\":[1,-2,null,true],\"€\":0}"
        );
        let back: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(back, value);
        assert_eq!(canonical(&back).unwrap(), text);
    }

    #[test]
    fn fractions_are_refused() {
        assert!(canonical(&json!({"a": [0.5]})).is_err());
    }
}
