//! Leniency of the envelope.

use super::*;
use serde_json::json;

#[test]
fn calls_without_version_and_id_are_read() {
    for body in [
        r#"{"method":"health"}"#,
        r#"{"jsonrpc":"2.0","method":"health","params":null,"id":null}"#,
        r#"{"method":"health","params":[],"id":"x","more":1}"#,
    ] {
        let request = Request::parse(body.as_bytes()).unwrap();
        assert_eq!(request.method, "health");
        assert_eq!(request.params::<NoParams>().unwrap(), NoParams {});
    }
}

#[test]
fn bad_bodies_have_codes() {
    for (body, number, code) in [
        ("{", PARSE_ERROR, "parse-error"),
        ("[]", INVALID_REQUEST, "invalid-request"),
        (r#"{"method":1}"#, INVALID_REQUEST, "invalid-request"),
        (r#"{"params":{}}"#, INVALID_REQUEST, "invalid-request"),
    ] {
        let error = Request::parse(body.as_bytes()).unwrap_err();
        assert_eq!((error.code, error.stable_code()), (number, code), "{body}");
    }
}

#[test]
fn wrong_parameters_name_the_method() {
    let request = Request::new("package.start", json!({"ident": "x"}), 1);
    let error = request.params::<crate::package::AppParams>().unwrap_err();
    assert_eq!(error.code, INVALID_PARAMS);
    assert!(error.message.starts_with("Invalid parameters of package.start:"), "{error}");
}

#[test]
fn answers_carry_both_members() {
    let ok = serde_json::to_value(Response::ok(Some(json!(7)), Value::Null)).unwrap();
    assert_eq!(ok, json!({"jsonrpc": "2.0", "result": null, "error": null, "id": 7}));
    let error = ErrorObject::new(UNAUTHORIZED, "unauthorized", "Session missing.").hint("Log in.");
    let response = Response::failed(None, error);
    assert_eq!(response.http_status(), 401);
    assert_eq!(
        serde_json::to_value(response).unwrap(),
        json!({"jsonrpc": "2.0", "result": null, "id": null, "error": {"code": 401,
            "message": "Session missing.", "data": {"code": "unauthorized", "hint": "Log in."}}})
    );
}

#[test]
fn answers_of_other_servers_are_read() {
    let response: Response = serde_json::from_str(r#"{"result": true}"#).unwrap();
    assert_eq!(response.result, Value::Bool(true));
    let response: Response =
        serde_json::from_str(r#"{"error": {"code": -1, "message": "no"}}"#).unwrap();
    assert_eq!(response.error.unwrap().stable_code(), "unknown");
}
