//! Unit names and the object paths they have on the bus.

const PREFIX: &str = "/org/freedesktop/systemd1/unit/";

/// The object path of a unit, as `sd_bus_path_encode(3)` makes it. The unit need not be loaded:
/// asking for its properties loads it.
#[must_use]
pub fn unit_path(unit: &str) -> String {
    let mut path = PREFIX.to_owned();
    if unit.is_empty() {
        path.push('_');
    }
    for (at, byte) in unit.bytes().enumerate() {
        if byte.is_ascii_alphabetic() || (at > 0 && byte.is_ascii_digit()) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("_{byte:02x}"));
        }
    }
    path
}

/// The unit of an object path; `None` when the path is not a unit's.
#[must_use]
pub fn unit_from_path(path: &str) -> Option<String> {
    let label = path.strip_prefix(PREFIX)?;
    if label == "_" {
        return Some(String::new());
    }
    let mut bytes = Vec::with_capacity(label.len());
    let mut rest = label.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'_' {
            bytes.push(byte);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn as_systemd_writes_them() {
        for (unit, label) in [
            ("web.service", "web_2eservice"),
            ("9p-a_b.service", "_39p_2da_5fb_2eservice"),
            ("a@1.service", "a_401_2eservice"),
            ("", "_"),
        ] {
            assert_eq!(unit_path(unit), format!("{PREFIX}{label}"));
            assert_eq!(unit_from_path(&unit_path(unit)).as_deref(), Some(unit));
        }
        for bad in ["/org/freedesktop/systemd1/job/1", &format!("{PREFIX}a_2")] {
            assert_eq!(unit_from_path(bad), None);
        }
    }

    proptest! {
        #[test]
        fn there_and_back(unit in "\\PC{0,40}") {
            prop_assert_eq!(unit_from_path(&unit_path(&unit)), Some(unit));
        }
    }
}
