//! Canonical JSON as TUF signs it: sorted keys, no spaces, whole numbers, only `"` and `\` escaped.

use serde::Serialize;
use serde_json::Value;

use crate::error::RegistryError;

/// The canonical bytes of a value.
///
/// # Errors
/// [`RegistryError::Format`] when it has a number that is not whole, or is no JSON.
pub fn canonical(value: &impl Serialize) -> Result<Vec<u8>, RegistryError> {
    let value =
        serde_json::to_value(value).map_err(|error| RegistryError::format("JSON", error))?;
    let mut out = Vec::new();
    write(&value, &mut out)?;
    Ok(out)
}

fn write(value: &Value, out: &mut Vec<u8>) -> Result<(), RegistryError> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) if number.is_i64() || number.is_u64() => {
            out.extend_from_slice(number.to_string().as_bytes());
        }
        Value::Number(number) => {
            return Err(RegistryError::format("JSON", format!("{number} is not a whole number")));
        }
        Value::String(text) => quote(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(item, out)?;
            }
            out.push(b']');
        }
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            // UTF-8 sorts as its code points do
            entries.sort_by_key(|(key, _)| *key);
            out.push(b'{');
            for (index, (key, value)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                quote(key, out);
                out.push(b':');
                write(value, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

fn quote(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_are_sorted_and_only_two_characters_escaped() {
        let value = json!({"b": [1, true, null], "a": "x\"y\\z\n", "é": -5});
        let expected = "{\"a\":\"x\\\"y\\\\z\n\",\"b\":[1,true,null],\"é\":-5}";
        assert_eq!(String::from_utf8(canonical(&value).unwrap()).unwrap(), expected);
        assert_eq!(canonical(&json!({"a": 1.5})).unwrap_err().code(), "registry-format");
    }
}
