//! `exports.sh` of Umbrel's apps: the variables an app gives to itself and to others. The script is
//! read, never run: plain assignments count, a command's result becomes a secret when it derives
//! one, an onion address when it reads one, and stays unknown otherwise.

use std::collections::BTreeMap;

/// The value of an exported variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Export {
    /// Text, in which variables are filled in.
    Text(String),
    /// Derived from the node's seed or at random.
    Derived,
    /// An onion address.
    Onion,
    /// The result of some other command.
    Unknown,
}

/// Reads the assignments of a script; the first of several counts, since later ones stand in
/// branches.
pub(super) fn parse(script: &str) -> BTreeMap<String, Export> {
    let mut out = BTreeMap::new();
    for line in script.lines() {
        let line = line.trim();
        let line = ["export ", "local ", "readonly ", "declare -x "]
            .iter()
            .find_map(|word| line.strip_prefix(word))
            .unwrap_or(line)
            .trim_start();
        let Some((name, value)) = line.split_once('=') else { continue };
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(word) {
            continue;
        }
        let value = self::value(value.trim());
        match out.get(name) {
            Some(Export::Text(text)) if text.is_empty() => _ = out.insert(name.to_owned(), value),
            Some(_) => {}
            None => _ = out.insert(name.to_owned(), value),
        }
    }
    out
}

fn value(text: &str) -> Export {
    if let Some(rest) = text.strip_prefix('\'') {
        return Export::Text(rest.split('\'').next().unwrap_or_default().replace('$', "$$"));
    }
    let inner = match text.strip_prefix('"') {
        Some(rest) => rest.rfind('"').and_then(|end| rest.get(..end)).unwrap_or(rest),
        None => {
            text.split([' ', ';', '\t']).next().filter(|_| !text.starts_with("$(")).unwrap_or(text)
        }
    };
    if !inner.contains("$(") && !inner.contains('`') {
        return Export::Text(inner.to_owned());
    }
    let lower = inner.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if has(&["onion", "hidden_service", "hostname"]) {
        Export::Onion
    } else if has(&["derive_entropy", "openssl rand", "/dev/urandom", "sha256", "app_seed", "uuid"])
    {
        Export::Derived
    } else {
        Export::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts() {
        let script = r#"
export APP_X_IP="10.21.21.5"
export APP_X_PORT=8080 # the port
APP_X_DIR="${EXPORTS_APP_DIR}/data"
export APP_X_KEY=$(derive_entropy "x-key")
export APP_X_PASS="$(openssl rand -hex 16)"
onion="$(cat "${TOR_DATA_DIR}/app-x/hostname" 2>/dev/null || echo "notyetset.onion")"
export APP_X_LIT='a $B'
if [[ "${A}" == "b" ]]; then
  export APP_X_PORT="9090"
fi
export APP_X_OTHER="$(hostname -I | cut -d' ' -f1 | tr x y)" 
"#;
        let found = parse(script);
        for (name, expected) in [
            ("APP_X_IP", Export::Text("10.21.21.5".into())),
            ("APP_X_PORT", Export::Text("8080".into())),
            ("APP_X_DIR", Export::Text("${EXPORTS_APP_DIR}/data".into())),
            ("APP_X_KEY", Export::Derived),
            ("APP_X_PASS", Export::Derived),
            ("onion", Export::Onion),
            ("APP_X_LIT", Export::Text("a $$B".into())),
        ] {
            assert_eq!(found.get(name), Some(&expected), "{name}");
        }
        assert!(!found.contains_key("if [[ \"${A}\""));
    }
}
