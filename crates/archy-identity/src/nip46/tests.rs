//! Messages between the node and a linked signer.

use archy_types::Timestamp;
use proptest::prelude::*;

use super::message::{Request, Response, unwrap, wrap};
use super::*;

#[test]
fn answers_are_read_as_signers_write_them() {
    for (text, outcome) in [
        (r#"{"id":"1","result":"ack"}"#, Ok("ack")),
        (r#"{"id":"1","result":"ack","error":""}"#, Ok("ack")),
        (r#"{"id":"1","result":"ack","error":null}"#, Ok("ack")),
        (r#"{"id":"1","result":{"a":1}}"#, Ok(r#"{"a":1}"#)),
        (r#"{"id":"1","error":"no"}"#, Err(LinkError::Denied("no".into()))),
        (r#"{"id":"1","result":"error","error":"no"}"#, Err(LinkError::Denied("no".into()))),
        (r#"{"id":"1","result":"auth_url","error":"https://x"}"#, Err(LinkError::AuthUrl)),
    ] {
        let read = Response::read(text).unwrap().outcome();
        assert_eq!(read, outcome.map(str::to_owned), "{text}");
    }
    for text in [
        "",
        "{}",
        r#"{"id":"1"}"#,
        r#"{"id":"","result":"a"}"#,
        r#"{"id":1,"result":"a"}"#,
        r#"{"id":"1","method":"ping","params":[]}"#,
    ] {
        assert!(Response::read(text).is_none(), "{text}");
    }
}

#[test]
fn reasons_of_signers_are_made_fit_to_be_shown() {
    let LinkError::Denied(reason) =
        LinkError::denied(&format!("no\n\u{1b}[31m{}", "x".repeat(500)))
    else {
        panic!();
    };
    assert!(reason.starts_with("no[31mx") && reason.len() == 120, "{reason}");
}

#[test]
fn only_the_reader_opens_an_event() {
    let (one, two, three) = (Keys::generate(), Keys::generate(), Keys::generate());
    let now = Timestamp(1_700_000_000_000);
    let request = Request { id: "7".into(), method: "ping".into(), params: vec!["a".into()] };
    let event = wrap(&one, two.public_key(), &request.text(), now).unwrap();
    assert_eq!(event.kind.as_u16(), KIND);
    assert_eq!(Request::read(&unwrap(&two, &event).unwrap()).unwrap(), request);
    assert!(unwrap(&three, &event).is_none());
    assert!(!format!("{request:?}").contains("\"a\""));
}

proptest! {
    #[test]
    fn reading_never_panics(text in ".{0,200}") {
        let _ = Request::read(&text);
        let _ = Response::read(&text);
    }

    #[test]
    fn messages_read_back(id in "[a-z0-9]{1,20}", method in "[a-z_0-9]{1,20}", params in proptest::collection::vec(".{0,20}", 0..4)) {
        let request = Request { id, method, params };
        prop_assert_eq!(Request::read(&request.text()).unwrap(), request);
    }
}
