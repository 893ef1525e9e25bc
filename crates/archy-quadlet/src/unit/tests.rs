//! Reading and printing unit files.

use proptest::prelude::*;

use super::*;

#[test]
fn prints_as_it_was_read() {
    let text =
        "# head\n\n[Unit]\n; note\nDescription=a b\n\n[X-Mine]\nFoo=1\nFoo=2\n[Unit]\nAfter=x\n";
    assert_eq!(Unit::parse(text).unwrap().to_string(), text);
}

#[test]
fn continued_lines_become_one() {
    let text = "[Container]\nExec=one \\\n# between\n  two\\\\\nLabel=x \\\n";
    let unit = Unit::parse(text).unwrap();
    assert_eq!(unit.value("Container", "Exec").unwrap().as_str(), "one  two\\\\");
    assert_eq!(unit.value("Container", "Label").unwrap().as_str(), "x");
    let printed = unit.to_string();
    assert_eq!(Unit::parse(&printed).unwrap(), unit, "{printed}");
}

#[test]
fn an_empty_value_resets() {
    let unit = Unit::parse("[S]\nA=1\nA=2\nA=\nA = 3 \n[S]\nA=4\n").unwrap();
    let values: Vec<&str> = unit.values("S", "A").iter().map(|v| v.as_str()).collect();
    assert_eq!(values, ["3", "4"]);
}

#[test]
fn assignments_are_found() {
    let unit = Unit::parse("[Container]\nLabel=a=1 \"b=two words\"\nLabel=a=3\n").unwrap();
    assert_eq!(unit.assignment("Container", "Label", "a").as_deref(), Some("3"));
    assert_eq!(unit.assignment("Container", "Label", "b").as_deref(), Some("two words"));
    assert_eq!(unit.assignment("Container", "Label", "c"), None);
}

#[test]
fn faults_have_a_line() {
    for (text, line, kind) in [
        ("A=1\n", 1, ParseErrorKind::NoSection),
        ("[A]\n\nnonsense\n", 3, ParseErrorKind::NoEquals),
        ("[]\n", 1, ParseErrorKind::Section),
        ("[A\n", 1, ParseErrorKind::Section),
        ("[A]\n=1\n", 2, ParseErrorKind::Key),
        ("[A]\nB C=1\n", 2, ParseErrorKind::Key),
        ("[A]\nB=\0\n", 2, ParseErrorKind::Nul),
    ] {
        assert_eq!(Unit::parse(text), Err(ParseError { line, kind }), "{text:?}");
    }
}

#[test]
fn sections_are_made_once() {
    let mut unit = Unit::with_head("one\ntwo");
    unit.section("Unit").push("Description", Value::prose("x"));
    unit.section("Service").push("Restart", Value::fixed("always"));
    unit.section("Unit").push("After", Value::fixed("y.service"));
    assert_eq!(
        unit.to_string(),
        "# one\n# two\n\n[Unit]\nDescription=x\n\nAfter=y.service\n[Service]\nRestart=always\n"
    );
}

proptest! {
    #[test]
    fn parsing_never_panics_and_settles(text in "([\\[\\]A-Za-z=#; \\\\\n\r\t\"$%é]|Unit|A=){0,60}") {
        if let Ok(unit) = Unit::parse(&text) {
            let printed = unit.to_string();
            let again = Unit::parse(&printed);
            prop_assert_eq!(again, Ok(unit), "{}", printed);
        }
    }
}
