//! Health checks.

use archy_manifest::schema::{Health, HealthType, Seconds};

use crate::draft::{Draft, Svc};
use crate::expr::Expr;
use crate::value::Value;

/// Reads a health check into a service.
pub(super) fn health(draft: &mut Draft<'_>, svc: &mut Svc, value: &Value, place: &str) {
    if value.get("disable").is_some_and(Value::is_true) {
        draft.find("dropped-key", place, "the image's own check is never run");
        return;
    }
    let Some(words) = value.get("test").and_then(|test| test_words(draft, test, place)) else {
        draft.find("dropped-key", place, "changes the image's own check, which is never run");
        return;
    };
    if words.is_empty() {
        draft.find("dropped-key", place, "the image's own check is never run");
        return;
    }
    let mut seconds = |key: &str, least: u32, most: u32| {
        let text = value.get(key)?.as_text()?;
        let text = draft.plain(text, place)?;
        let written = duration(&text);
        let Some(written) = written else {
            draft.find("unreadable", place, format!("{key}: `{text}` is no duration"));
            return None;
        };
        let kept = written.clamp(least, most);
        if kept != written {
            draft.find("timing", place, format!("{key}: {text} becomes {kept} s"));
        }
        Some(Seconds(kept))
    };
    let check = Health {
        kind: Some(HealthType::Exec),
        interval: seconds("interval", 2, 86_400),
        timeout: seconds("timeout", 1, 3600),
        start_period: seconds("start_period", 0, 86_400),
        ..Health::default()
    };
    let retries = value.text_of("retries").and_then(|text| text.parse::<u32>().ok());
    if value.get("start_interval").is_some() {
        draft.find("dropped-key", place, "until it is well, a container is asked all the time");
    }
    svc.container.health = Some(Health { retries: retries.map(|n| n.clamp(1, 100)), ..check });
    svc.health = Some(words);
}

/// The words of a test; empty when it is switched off.
fn test_words(draft: &mut Draft<'_>, test: &Value, place: &str) -> Option<Vec<Expr>> {
    let shell = |script: Expr| vec![Expr::text("sh"), Expr::text("-c"), script];
    match test {
        Value::Scalar { text, .. } => {
            let script = draft.expr(text, place);
            // the form of a list, written in quotes
            if let Some(rest) = text.trim().strip_prefix("CMD ") {
                return Some(crate::expr::words(&draft.expr(rest, place)));
            }
            Some(shell(script))
        }
        Value::List(items) => {
            let words: Vec<Expr> = items
                .iter()
                .filter_map(Value::as_text)
                .map(|text| draft.expr(text, place))
                .collect();
            let (first, rest) = words.split_first()?;
            Some(match first.as_text() {
                Some("NONE") => Vec::new(),
                Some("CMD") => rest.to_vec(),
                Some("CMD-SHELL") => {
                    let mut script = Expr::default();
                    for (index, word) in rest.iter().enumerate() {
                        if index > 0 {
                            script.extend(&Expr::text(" "));
                        }
                        script.extend(word);
                    }
                    shell(script)
                }
                _ => words,
            })
        }
        _ => None,
    }
}

/// Seconds of a duration such as `1m30s`, `500ms` or `2.5h`, rounded up.
pub(crate) fn duration(text: &str) -> Option<u32> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(seconds);
    }
    let mut total = 0.0_f64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at_checked(digits)?;
        let letters = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, tail) = after.split_at_checked(letters)?;
        let factor = match unit.trim() {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * factor;
        rest = tail;
    }
    let rounded = total.ceil();
    if text.is_empty() || !(0.0..=4e9).contains(&rounded) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rounded, and within the bounds"
    )]
    Some(rounded as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, seconds) in [
            ("30", Some(30)),
            ("1m30s", Some(90)),
            ("500ms", Some(1)),
            ("15m30s", Some(930)),
            ("1.5h", Some(5400)),
            ("", None),
            ("s", None),
            ("5x", None),
            ("99999999999h", None),
        ] {
            assert_eq!(duration(text), seconds, "{text}");
        }
    }
}
