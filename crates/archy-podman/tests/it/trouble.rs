//! Everything that goes wrong between the client and Podman.

use std::time::Duration;

use archy_podman::{Podman, PodmanError};
use archy_types::PodmanVersion;

use crate::fake::{Fake, Reply, Step, soon};

#[tokio::test]
async fn nobody_listens() {
    let dir = tempfile::tempdir().unwrap();
    let error = Podman::new(dir.path().join("none")).containers(&[]).await.unwrap_err();
    assert!(matches!(error, PodmanError::Unreachable { .. }), "{error:?}");
    assert!(error.retryable());
    let user = error.to_user_error();
    assert_eq!(user.code.as_str(), "podman-unreachable");
    assert!(user.message.contains("No such file"), "{}", user.message);
}

#[tokio::test]
async fn errors_of_podman_are_read() {
    let json = r#"{"cause":"no such container","message":"no container with name x: no such container","response":409}"#;
    for (status, body, want, conflict) in [
        (409, json, "no container with name x: no such container", true),
        (500, "plain words\n", "plain words", false),
        (500, r#"{"message":"x: container state improper"}"#, "x: container state improper", true),
        (503, "", "Service Unavailable", false),
        (400, "{}", "Bad Request", false),
    ] {
        let fake = Fake::start(move |_| Reply::status(status, body));
        let error = fake.podman.containers(&[]).await.unwrap_err();
        let PodmanError::Api { message, status: got, .. } = &error else { panic!("{error:?}") };
        assert_eq!((got, message.as_str()), (&status, want));
        assert_eq!(error.is_conflict(), conflict);
        assert_eq!(error.retryable(), status == 503);
    }
}

#[tokio::test]
async fn a_cause_that_says_more_is_kept() {
    let body = r#"{"cause":"disk full","message":"cannot create","response":500}"#;
    let fake = Fake::start(move |_| Reply::status(500, body));
    let error = fake.podman.volumes(&[]).await.unwrap_err();
    assert!(
        matches!(&error, PodmanError::Api { cause: Some(c), .. } if c == "disk full"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_huge_error_does_not_hurt() {
    let fake = Fake::start(|_| Reply::status(500, "x".repeat(1 << 20)));
    let error = fake.podman.info().await.unwrap_err();
    assert!(error.to_string().len() < 8192);
    assert!(matches!(error, PodmanError::Api { status: 500, .. }), "{error:?}");
}

#[tokio::test]
async fn silence_ends_at_the_deadline() {
    let data = Step::Data("[".into());
    for steps in [vec![Step::Hang], vec![data, Step::Hang]] {
        let fake = Fake::start(move |_| Reply::steps(steps.clone()));
        let podman = fake.podman.within(Duration::from_millis(50));
        let error = soon(podman.containers(&[])).await.unwrap_err();
        assert!(matches!(&error, PodmanError::Timeout { op, .. } if op == "GET containers/json"));
        assert!(error.retryable());
    }
}

#[tokio::test]
async fn a_broken_answer_is_no_answer() {
    let fake = Fake::start(|_| Reply::steps(vec![Step::Data("[".into()), Step::Break]));
    let error = soon(fake.podman.networks(&[])).await.unwrap_err();
    assert!(matches!(error, PodmanError::Broken { .. }), "{error:?}");
}

#[tokio::test]
async fn an_answer_has_a_limit() {
    let chunk = Step::Data(vec![b' '; 1 << 20].into());
    let fake = Fake::start(move |_| Reply::steps(vec![chunk.clone(); 20]));
    let error = soon(fake.podman.images()).await.unwrap_err();
    assert!(matches!(error, PodmanError::TooLarge { .. }), "{error:?}");
    assert!(!error.retryable());
}

#[tokio::test]
async fn nonsense_is_an_error() {
    for body in ["", "{", "null", "\"x\"", "[{\"Names\":[]}]"] {
        let fake = Fake::start(move |_| Reply::ok(body));
        let error = fake.podman.containers(&[]).await.unwrap_err();
        assert!(matches!(error, PodmanError::Decode { .. }), "{body}: {error:?}");
    }
}

#[tokio::test]
async fn the_version_has_a_floor() {
    for (version, ok) in [("5.4.2", true), ("6.0.0-dev", true), ("5.3.9", false), ("4.9.3", false)]
    {
        let fake = Fake::start(move |_| Reply::version(version));
        let result = fake.podman.check_version().await;
        assert_eq!(result.is_ok(), ok, "{version}: {result:?}");
        if let Err(error) = result {
            assert!(matches!(error, PodmanError::TooOld { floor: PodmanVersion::FLOOR, .. }));
        }
    }
    let fake = Fake::start(|_| Reply::version("new"));
    assert!(matches!(fake.podman.ping().await, Err(PodmanError::Decode { .. })));
}
