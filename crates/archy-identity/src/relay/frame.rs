//! Messages between client and relay (NIP-01, NIP-42).

use nostr::event::Event;
use serde_json::{Value, json};

/// Name of the only subscription.
pub(super) const SUBSCRIPTION: &str = "archipelago";

/// What a relay says.
#[derive(Debug, PartialEq)]
pub(super) enum Said {
    /// An event that was asked for.
    Event(Box<Event>),
    /// All that was stored has come.
    EndOfStored,
    /// It took an event or not, and why.
    Ok { id: String, taken: bool, reason: String },
    /// It asks who we are.
    Auth(String),
    /// It ended the subscription, and why.
    Closed(String),
    /// Anything else.
    Other,
}

/// Reads a message; what is not understood is [`Said::Other`].
pub(super) fn read(text: &str) -> Said {
    let Ok(Value::Array(parts)) = serde_json::from_str::<Value>(text) else { return Said::Other };
    let word = |index: usize| parts.get(index).and_then(Value::as_str);
    let owned = |index: usize| word(index).unwrap_or_default().to_owned();
    match word(0) {
        Some("EVENT") if word(1) == Some(SUBSCRIPTION) => {
            let event = parts.get(2).cloned().map(serde_json::from_value::<Event>);
            match event {
                Some(Ok(event)) if event.verify().is_ok() => Said::Event(Box::new(event)),
                _ => Said::Other,
            }
        }
        Some("EOSE") if word(1) == Some(SUBSCRIPTION) => Said::EndOfStored,
        Some("OK") => match (word(1), parts.get(2).and_then(Value::as_bool)) {
            (Some(id), Some(taken)) => Said::Ok { id: id.to_owned(), taken, reason: owned(3) },
            _ => Said::Other,
        },
        Some("AUTH") if word(1).is_some_and(|c| c.len() <= 512) => Said::Auth(owned(1)),
        Some("CLOSED") if word(1) == Some(SUBSCRIPTION) => Said::Closed(owned(2)),
        _ => Said::Other,
    }
}

pub(super) fn subscribe(filter: &Value) -> String {
    json!(["REQ", SUBSCRIPTION, filter]).to_string()
}

pub(super) fn publish(event: &Event) -> String {
    json!(["EVENT", event]).to_string()
}

pub(super) fn authenticate(event: &Event) -> String {
    json!(["AUTH", event]).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn messages_are_read() {
        let ok = r#"["OK","ab",false,"blocked: no"]"#;
        let refused = Said::Ok { id: "ab".into(), taken: false, reason: "blocked: no".into() };
        for (text, said) in [
            (ok, refused),
            (r#"["EOSE","archipelago"]"#, Said::EndOfStored),
            (r#"["EOSE","other"]"#, Said::Other),
            (r#"["AUTH","who"]"#, Said::Auth("who".into())),
            (
                r#"["CLOSED","archipelago","auth-required: x"]"#,
                Said::Closed("auth-required: x".into()),
            ),
            (r#"["EVENT","archipelago",{}]"#, Said::Other),
            ("[]", Said::Other),
            ("{", Said::Other),
        ] {
            assert_eq!(read(text), said, "{text}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in ".{0,200}") {
            let _ = read(&text);
            let _ = read(&format!("[\"EVENT\",\"archipelago\",{text}]"));
        }
    }
}
