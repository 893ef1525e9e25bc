//! What the readers get back is what was written.

use proptest::prelude::*;

use super::*;

#[test]
fn torture() {
    // text, as a word, as a raw value
    for (text, word, raw) in [
        ("plain", "plain", Some("plain")),
        ("a b", "\"a b\"", Some("a b")),
        ("100%", "100%%", Some("100%%")),
        ("$HOME ${X}", "\"$$HOME $${X}\"", Some("$$HOME $${X}")),
        ("it's", "\"it's\"", Some("it's")),
        ("say \"hi\" now", "\"say \\\"hi\\\" now\"", Some("say \"hi\" now")),
        ("back\\slash", "\"back\\\\slash\"", Some("back\\slash")),
        ("end\\", "\"end\\\\\"", None),
        ("two\nlines", "\"two\\nlines\"", None),
        ("tab\there", "\"tab\\there\"", None),
        ("bell\u{7}", "\"bell\\x07\"", None),
        ("é🙂", "\"é🙂\"", Some("é🙂")),
        (" lead", "\" lead\"", None),
        ("", "\"\"", None),
        ("#no comment", "\"#no comment\"", Some("#no comment")),
        ("\"quoted\"", "\"\\\"quoted\\\"\"", None),
        ("%%$$", "%%%%$$$$", Some("%%%%$$$$")),
    ] {
        assert_eq!(Value::words([text]).unwrap().as_str(), word, "{text:?}");
        assert_eq!(Value::raw(text).ok().as_ref().map(Value::as_str), raw, "{text:?}");
    }
    assert_eq!(Value::words(["a\0b"]), Err(EscapeError::Character('\0')));
    assert_eq!(Value::json(["a\0b"]), Err(EscapeError::Character('\0')));
    assert_eq!(Value::list(["a\nb"]), Err(EscapeError::Character('\n')));
}

#[test]
fn empty_and_semicolon_arguments_survive() {
    let value = Value::command(["--save", "", ";", "${ARCHY_EMPTY}", "a;b"]).unwrap();
    assert_eq!(
        value.as_str(),
        "--save ${ARCHY_EMPTY} ${ARCHY_SEMICOLON} \"$${ARCHY_EMPTY}\" \"a;b\""
    );
    assert!(value.needs_variables());
    assert!(!Value::command(["${ARCHY_EMPTY}"]).unwrap().needs_variables());
    assert_eq!(value.read_command().unwrap(), ["--save", "", ";", "${ARCHY_EMPTY}", "a;b"]);
}

#[test]
fn prose_is_one_line() {
    assert_eq!(Value::prose("  50 % of\n a\\b\\ ").as_str(), "50 %% of a/b/");
}

#[test]
fn escapes_of_systemd_are_read() {
    let read = |text: &str| Value::verbatim(text).read_words();
    assert_eq!(
        read(r#""\x41\u00e9\101\s" 'b "c' d"e f"g"#).unwrap(),
        ["Aéa ", "b \"c", "de fg"].map(|w| w.replace("Aéa", "AéA"))
    );
    assert_eq!(read("\"open"), Err(WordError::Quote));
    assert_eq!(read(r"\e"), Err(WordError::Escape("e".into())));
    assert_eq!(read(r"\x4"), Err(WordError::Escape("x4".into())));
    assert_eq!(read(r"\x00"), Err(WordError::Escape("x00".into())));
    assert_eq!(read("a\\"), Err(WordError::Escape(String::new())));
}

fn one_line(value: &Value) {
    assert!(!value.as_str().contains(['\n', '\r', '\0']), "{value:?}");
    assert!(!value.as_str().ends_with('\\'), "{value:?}");
}

proptest! {
    #[test]
    fn words_come_back(words in proptest::collection::vec("[^\\x00]{0,12}", 0..6)) {
        let value = Value::words(&words).unwrap();
        one_line(&value);
        prop_assert_eq!(value.read_words().unwrap(), words);
    }

    #[test]
    fn commands_come_back(words in proptest::collection::vec("([^\\x00]{0,12}|;|)", 0..6)) {
        let value = Value::command(&words).unwrap();
        one_line(&value);
        // Podman's generator drops a command from an empty word on.
        let cut = [" ", value.as_str()].concat().contains(" \"\"");
        prop_assert!(!cut);
        prop_assert_eq!(value.read_command().unwrap(), words);
    }

    #[test]
    fn raw_comes_back_or_is_refused(text in any::<String>()) {
        if let Ok(value) = Value::raw(&text) {
            one_line(&value);
            prop_assert_eq!(Value::verbatim(value.as_str()).read_raw(), text);
        }
    }

    #[test]
    fn json_comes_back(words in proptest::collection::vec("[^\\x00]{0,12}", 0..4)) {
        let value = Value::json(&words).unwrap();
        one_line(&value);
        let read: Vec<String> = serde_json::from_str(&value.read_raw()).unwrap();
        prop_assert_eq!(read, words);
    }

    #[test]
    fn reading_never_panics(text in any::<String>()) {
        let value = Value::verbatim(&text);
        let _ = (value.read_raw(), value.read_words(), value.read_command());
    }
}
