//! The environment of a service: `environment` over `env_file`.

use indexmap::IndexMap;

use super::keyed;
use crate::draft::Draft;
use crate::expr::Expr;
use crate::source;
use crate::value::{Map, Value};

/// The variables of a service with their values.
pub(super) fn environment(
    draft: &mut Draft<'_>,
    service: &Map,
    place: &str,
) -> IndexMap<String, Expr> {
    let mut out = IndexMap::new();
    if let Some(files) = service.get("env_file") {
        env_files(draft, files, &format!("{place}.env_file"), &mut out);
    }
    let place = format!("{place}.environment");
    for (key, value) in keyed(service.get("environment").unwrap_or(&Value::Null)) {
        let here = format!("{place}.{key}");
        // the keys themselves may hold variables
        let key = match key.contains('$') {
            true => draft.plain(&key, &here).unwrap_or_default(),
            false => key,
        };
        if !is_variable(&key) {
            draft.find("unreadable", &here, format!("`{key}` is no name of a variable"));
            continue;
        }
        let expr = match &value {
            Value::Scalar { text, .. } => draft.expr(text, &here),
            Value::Null => draft.expr(&format!("${{{key}}}"), &here),
            other => {
                draft.find("unreadable", &here, format!("is no text: {}", other.brief()));
                continue;
            }
        };
        out.insert(key, expr);
    }
    out
}

fn env_files(draft: &mut Draft<'_>, files: &Value, place: &str, out: &mut IndexMap<String, Expr>) {
    for entry in files.items() {
        let written = entry.text_of("path").or_else(|| entry.as_text()).unwrap_or_default();
        let required = entry.text_of("required").is_none_or(|text| text != "false");
        let own = draft.expr(written, place);
        let own = matches!(own.atoms().first(), Some(crate::expr::Atom::Dir(_)));
        let Some(path) = package_path(draft, written, place) else { continue };
        let bytes = draft.source.files.get(&path).cloned();
        match bytes {
            Some(bytes) => {
                draft.read.push(path);
                for (key, value) in parse_env(&String::from_utf8_lossy(&bytes)) {
                    let value = match value {
                        EnvValue::Literal(text) => Expr::text(text),
                        EnvValue::Open(text) => draft.expr(&text, place),
                    };
                    out.insert(key, value);
                }
            }
            None if own => draft.find("env-file", place, format!("{path} is not in the package")),
            None if required => {
                draft.find("missing-part", place, format!("{written} is not in the package"));
            }
            None => {
                draft.find("dropped-key", place, format!("{written} is optional and not there"))
            }
        }
    }
}

/// A path of the package: relative, or below the app's data directory.
pub(super) fn package_path(draft: &mut Draft<'_>, written: &str, place: &str) -> Option<String> {
    use crate::expr::{Atom, Root};
    let expr = draft.expr(written, place);
    let text = match expr.atoms() {
        [Atom::Dir(Root::Own), Atom::Text(rest)] => rest.trim_start_matches('/').to_owned(),
        _ => draft.plain_expr(&expr, place)?,
    };
    source::clean(&text)
}

/// A value of an env file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum EnvValue {
    /// In single quotes: as it stands.
    Literal(String),
    /// Variables are filled in.
    Open(String),
}

/// Reads an env file: `KEY=value` lines, comments, quotes, `export`.
pub(crate) fn parse_env(text: &str) -> Vec<(String, EnvValue)> {
    let mut out = Vec::new();
    for line in text.lines() {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((key, value)) = line.split_once('=') else { continue };
        let (key, value) = (key.trim(), value.trim());
        if !is_variable(key) {
            continue;
        }
        let inside = |quote: char| {
            let rest = value.strip_prefix(quote)?;
            rest.rfind(quote).and_then(|end| rest.get(..end))
        };
        let value = match (inside('\''), inside('"')) {
            (Some(text), _) => EnvValue::Literal(text.to_owned()),
            (_, Some(text)) => EnvValue::Open(text.replace("\\n", "\n").replace("\\\"", "\"")),
            _ => {
                let end = value.find(" #").unwrap_or(value.len());
                EnvValue::Open(value.get(..end).unwrap_or(value).trim_end().to_owned())
            }
        };
        out.push((key.to_owned(), value));
    }
    out
}

/// True for what the manifest takes as a variable's name.
pub(crate) fn is_variable(name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    name.len() <= 256
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn env_files() {
        let text = "# c\nA=1\nexport B='x $Y'\nC=\"a\\nb\" # c\nD=x # c\nE\n1X=2\nF=\n";
        let found = parse_env(text);
        let expected = [
            ("A", EnvValue::Open("1".into())),
            ("B", EnvValue::Literal("x $Y".into())),
            ("C", EnvValue::Open("a\nb".into())),
            ("D", EnvValue::Open("x".into())),
            ("F", EnvValue::Open(String::new())),
        ];
        let expected: Vec<_> = expected.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        assert_eq!(found, expected);
    }
}
