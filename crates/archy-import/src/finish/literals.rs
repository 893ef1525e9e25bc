//! Passwords that stand in the source, and that therefore everybody knows: each becomes a secret of
//! the node's own, in all the places where it stands.

use super::{is_default_password, kind_for};
use crate::draft::Draft;
use crate::expr::Expr;

/// Replaces passwords by secrets where every place that holds one can follow.
pub(super) fn generate(draft: &mut Draft<'_>) {
    let mut found: Vec<(String, String, String)> = Vec::new();
    for (service, svc) in &draft.services {
        for (key, value) in &svc.env {
            let Some(text) = value.as_text() else { continue };
            if is_default_password(key, text) && !found.iter().any(|(_, _, known)| known == text) {
                found.push((service.clone(), key.clone(), text.to_owned()));
            }
        }
    }
    for (service, key, value) in found {
        let place = format!("services.{service}.environment.{key}");
        if let Some(why) = obstacle(draft, &value) {
            draft.find("default-password", &place, why);
            continue;
        }
        let secret = draft.secret(&key, kind_for(value.len()));
        replace(draft, &value, &Expr::secret(&secret));
        let message = "the password of the source is replaced by one that each node generates";
        draft.find("generated-secret", &place, message);
    }
}

/// Why a password must stay: a place that cannot follow.
fn obstacle(draft: &Draft<'_>, value: &str) -> Option<&'static str> {
    let inside = |expr: &Expr| {
        expr.atoms().iter().any(|atom| match atom {
            crate::expr::Atom::Text(text) => has_word(text, value),
            _ => false,
        })
    };
    for svc in draft.services.values() {
        let words = svc.command.iter().chain(svc.entrypoint.iter().flatten());
        if words.chain(svc.health.iter().flatten()).any(inside) {
            return Some("the password stands in a command as well, so it is kept");
        }
    }
    draft
        .package
        .values()
        .any(|bytes| String::from_utf8_lossy(bytes).contains(value))
        .then_some("the password stands in a file of the package as well, so it is kept")
}

fn has_word(text: &str, word: &str) -> bool {
    super::replace_word(text, word, "").is_some()
}

fn replace(draft: &mut Draft<'_>, value: &str, secret: &Expr) {
    for svc in draft.services.values_mut() {
        for (key, expr) in &mut svc.env {
            match expr.as_text() {
                Some(text) if text == value => {
                    if crate::draft::class(key) != crate::draft::Class::Plain {
                        *expr = secret.clone();
                    }
                }
                _ => *expr = expr.split_text(|text| in_address(text, value, secret)),
            }
        }
    }
}

/// A password within a text: `scheme://user:PASSWORD@host`, `password=PASSWORD`.
fn in_address(text: &str, value: &str, secret: &Expr) -> Expr {
    let mut out = Expr::default();
    let mut rest = text;
    let mut done = String::new();
    while let Some(at) = rest.find(value) {
        let (before, after) = (&rest[..at], &rest[at + value.len()..]);
        done.push_str(before);
        let lower = done.to_ascii_lowercase();
        let user_part = after.starts_with('@')
            && done
                .rsplit_once("://")
                .is_some_and(|(_, user)| user.ends_with(':') && !user.contains(['/', '@', ' ']));
        let named = ["password=", "pwd=", "pass="].iter().any(|end| lower.ends_with(end))
            && after.chars().next().is_none_or(|c| matches!(c, ';' | ' ' | '&' | ',' | '"' | '\''));
        out.extend(&Expr::text(before));
        if user_part || named {
            out.extend(secret);
        } else {
            out.extend(&Expr::text(value));
        }
        done.push_str(value);
        rest = after;
    }
    out.extend(&Expr::text(rest));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_in_addresses() {
        let secret = Expr::secret("s");
        for (text, expected) in [
            (
                "postgres://postgres:postgres@db/postgres",
                "postgres://postgres:<secret s>@db/postgres",
            ),
            ("Server=db;Password=postgres;X=1", "Server=db;Password=<secret s>;X=1"),
            ("postgres", "postgres"),
            ("http://postgres:80/", "http://postgres:80/"),
        ] {
            assert_eq!(in_address(text, "postgres", &secret).shown(), expected, "{text}");
        }
    }
}
