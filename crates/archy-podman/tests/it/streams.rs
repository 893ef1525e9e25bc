//! Pulls, logs, events and commands: answers that come in pieces.

use std::time::Duration;

use archy_podman::{
    EventKind, ExecRequest, LogRequest, Output, PodmanError, PullItem, PullPolicy, PullProgress,
};
use archy_types::{Health, Timestamp};

use crate::fake::{Fake, Reply, Step, frame, soon};

const IDLE: Duration = Duration::from_secs(10);

async fn pull(steps: Vec<Step>, idle: Duration) -> (Vec<PullItem>, Option<PodmanError>) {
    let fake = Fake::start(move |_| Reply::steps(steps.clone()));
    let mut pull = fake.podman.pull("r.example/a:1", PullPolicy::Missing, idle).await.unwrap();
    let mut items = Vec::new();
    while let Some(item) = soon(pull.next()).await {
        match item {
            Ok(item) => items.push(item),
            Err(error) => {
                assert!(pull.next().await.is_none(), "an error is the last item");
                return (items, Some(error));
            }
        }
    }
    assert_eq!(
        fake.lines(),
        ["POST /images/pull?reference=r.example%2Fa%3A1&policy=missing&compatMode=true"]
    );
    (items, None)
}

fn text(text: &str) -> Step {
    Step::Data(text.to_owned().into())
}

#[tokio::test]
async fn a_pull_counts_its_layers() {
    let (items, error) = pull(
        vec![
            text("{\"status\":\"Pulling fs layer\",\"progressDetail\":{},\"id\":\"aa\"}\n{\"status\":"),
            text("\"Downloading\",\"progressDetail\":{\"current\":50,\"total\":200},\"id\":\"aa\"}\n"),
            text("{\"status\":\"Downloading\",\"progressDetail\":{\"current\":10,\"total\":200},\"id\":\"bb\"}\n"),
            text("{\"status\":\"Download complete\",\"progressDetail\":{},\"id\":\"aa\"}\n\n"),
            text("{\"status\":\"Download complete\",\"progressDetail\":{},\"id\":\"cafe\"}"),
        ],
        IDLE,
    )
    .await;
    assert!(error.is_none(), "{error:?}");
    let sums: Vec<_> = items
        .iter()
        .filter_map(|i| match i {
            PullItem::Progress(PullProgress { done, total, .. }) => Some((*done, *total)),
            PullItem::Done(_) => None,
        })
        .collect();
    assert_eq!(sums, [(0, 0), (50, 200), (60, 400), (210, 400), (210, 400)]);
    assert_eq!(items.last(), Some(&PullItem::Done("cafe".to_owned())));
    let PullItem::Progress(last) = &items[3] else { panic!() };
    assert_eq!((last.percent(), last.layer.as_deref()), (Some(52), Some("aa")));
}

#[tokio::test]
async fn the_plain_form_is_read_too() {
    let (items, error) = pull(
        vec![
            text("{\"stream\":\"Trying to pull r.example/a:1...\\n\"}\n"),
            text("{\"images\":[\"cafe\"],\"id\":\"cafe\"}\n"),
        ],
        IDLE,
    )
    .await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(items.len(), 2);
    assert_eq!(items[1], PullItem::Done("cafe".to_owned()));
}

#[tokio::test]
async fn a_pull_fails_in_the_middle() {
    let head = text("{\"status\":\"Downloading\",\"progressDetail\":{},\"id\":\"aa\"}\n");
    let full = "{\"error\":\"writing blob: storing blob to file \\\"/var/tmp/x\\\": write /var/tmp/x: no space left on device\"}\n";
    let quota =
        "{\"errorDetail\":{\"message\":\"copying layers: Disk quota exceeded\"},\"error\":\"\"}\n";
    for (tail, retry, code) in [
        ("{\"error\":\"manifest unknown\"}\n", false, "image-pull-failed"),
        (
            "{\"errorDetail\":{\"message\":\"unauthorized: go away\"},\"error\":\"\"}\n",
            false,
            "image-pull-failed",
        ),
        ("{\"error\":\"read tcp: connection reset by peer\"}\n", true, "image-pull-failed"),
        (full, false, "disk-full"),
        (quota, false, "disk-full"),
    ] {
        let (items, error) = pull(vec![head.clone(), text(tail)], IDLE).await;
        assert_eq!(items.len(), 1);
        let error = error.unwrap();
        assert!(matches!(error, PodmanError::Pull { .. }), "{error:?}");
        assert_eq!(error.retryable(), retry, "{error}");
        assert_eq!(error.to_user_error().code.as_str(), code, "{error}");
    }
    let (items, error) = pull(vec![text("")], IDLE).await;
    assert!(items.is_empty() && matches!(error, Some(PodmanError::Pull { .. })), "{error:?}");
    let (_, error) = pull(vec![head.clone(), Step::Break], IDLE).await;
    assert!(matches!(error, Some(PodmanError::Broken { .. })), "{error:?}");
    let (_, error) = pull(vec![head.clone(), Step::Hang], Duration::from_millis(50)).await;
    assert!(matches!(error, Some(PodmanError::Timeout { .. })), "{error:?}");
    let (_, error) = pull(vec![head, Step::Data(vec![b'x'; 2 << 20].into())], IDLE).await;
    assert!(matches!(error, Some(PodmanError::TooLarge { .. })), "{error:?}");
}

#[tokio::test]
async fn a_pull_that_is_refused_at_once() {
    let body = r#"{"cause":"x","message":"initializing source: manifest unknown","response":500}"#;
    let fake = Fake::start(move |_| Reply::status(500, body));
    let error = fake.podman.pull("a:1", PullPolicy::Always, IDLE).await.unwrap_err();
    assert!(
        matches!(&error, PodmanError::Pull { message, .. } if message.contains("manifest unknown")),
        "{error:?}"
    );
}

#[tokio::test]
async fn pulling_to_the_end_reads_the_image() {
    let fake = Fake::start(|line| match line.split('?').next() {
        Some("POST /images/pull") => Reply::ok("{\"status\":\"Pull complete\",\"id\":\"ca\"}\n"),
        _ => Reply::ok("{\"Id\":\"cafe\",\"Digest\":\"sha256:1\",\"Architecture\":\"amd64\"}"),
    });
    let image = fake.podman.pull_image("a:1", PullPolicy::Missing, IDLE, |_| ()).await.unwrap();
    assert_eq!((image.id.as_str(), image.architecture.as_str()), ("cafe", "amd64"));
}

#[tokio::test]
async fn a_followed_log_gives_lines_as_they_come() {
    let steps = vec![
        Step::Data(frame(1, "1970-01-01T00:00:05Z one\n").into()),
        Step::Data(frame(2, "1970-01-01T00:00:06Z two\n")[..10].to_vec().into()),
        Step::Data(frame(2, "1970-01-01T00:00:06Z two\n")[10..].to_vec().into()),
        Step::Hang,
    ];
    let fake = Fake::start(move |_| Reply::steps(steps.clone()));
    let since = Some(Timestamp(4_999));
    let request = LogRequest { follow: true, tail: Some(9), since, ..LogRequest::default() };
    let mut logs = fake.podman.logs("a", &request).await.unwrap();
    for (output, text, seconds) in [(Output::Stdout, "one", 5), (Output::Stderr, "two", 6)] {
        let line = soon(logs.next()).await.unwrap().unwrap();
        assert_eq!((line.output, line.text.as_str()), (output, text));
        assert_eq!(line.time, Some(Timestamp(seconds * 1000)));
    }
    let waits = tokio::time::timeout(Duration::from_millis(20), logs.next()).await;
    assert!(waits.is_err(), "a followed log has no end");
    assert_eq!(
        fake.lines(),
        [
            "GET /containers/a/logs?stdout=true&stderr=true&follow=true&timestamps=true&tail=9&since=4"
        ]
    );
}

#[tokio::test]
async fn a_log_ends_and_breaks() {
    let fake = Fake::start(|_| Reply::steps(vec![Step::Data(frame(1, "x\ny").into())]));
    let lines = fake.podman.log_tail("a", 5).await.unwrap();
    assert_eq!(lines.iter().map(|l| l.text.as_str()).collect::<Vec<_>>(), ["x", "y"]);
    let bad = [frame(1, "x\n"), b"whatisthis".to_vec()].concat();
    let fake = Fake::start(move |_| Reply::steps(vec![Step::Data(bad.clone().into())]));
    let error = fake.podman.log_tail("a", 5).await.unwrap_err();
    assert!(matches!(error, PodmanError::Decode { .. }), "{error:?}");
}

#[tokio::test]
async fn events_are_typed() {
    let lines = concat!(
        r#"{"Type":"container","Action":"died","Actor":{"ID":"c1","Attributes":{"name":"web","containerExitCode":"137"}},"time":7,"timeNano":7000000001}"#,
        "\n",
        r#"{"Type":"container","Action":"health_status","HealthStatus":"unhealthy","Actor":{"ID":"c1","Attributes":null},"time":8}"#,
        "\n",
        r#"{"Type":"artifact","Action":"add","Actor":{"ID":"x"},"time":9}"#,
        "\n",
    );
    let fake = Fake::start(move |_| Reply::ok(lines));
    let mut events = fake.podman.events(Some(Timestamp(1500)));
    let died = soon(events.next()).await.unwrap().unwrap();
    assert_eq!((died.kind, died.action.as_str()), (EventKind::Container, "died"));
    assert_eq!((died.name.as_str(), died.exit_code), ("web", Some(137)));
    assert_eq!((died.time_nanos, died.time()), (7_000_000_001, Timestamp(7000)));
    let health = soon(events.next()).await.unwrap().unwrap();
    assert_eq!((health.health, health.time()), (Some(Health::Unhealthy), Timestamp(8000)));
    assert_eq!(soon(events.next()).await.unwrap().unwrap().kind, EventKind::Other);
    assert!(soon(events.next()).await.is_none());
    assert_eq!(fake.lines(), ["GET /events?stream=true&since=1"]);
}

#[tokio::test]
async fn a_command_has_a_code_and_outputs() {
    let output = [frame(1, "out\n"), frame(2, "bad"), frame(1, &"x".repeat(100))].concat();
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let fake = Fake::start(move |line| match line {
        "POST /containers/a/exec" => Reply::status(201, "{\"Id\":\"e1\"}"),
        "POST /exec/e1/start" => Reply::steps(vec![Step::Data(output.clone().into())]),
        // still running the first time it is asked
        _ if asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0 => {
            Reply::ok("{\"Running\":true,\"ExitCode\":0}")
        }
        _ => Reply::ok("{\"Running\":false,\"ExitCode\":3}"),
    });
    let mut request = ExecRequest::new(["ls", "-l"]);
    request.max_output = 20;
    request.user = Some("5:6".to_owned());
    let got = soon(fake.podman.exec("a", &request)).await.unwrap();
    assert_eq!((got.exit_code, got.success(), got.truncated), (3, false, true));
    assert_eq!((got.stdout.len(), got.stderr_text().as_str()), (20, "bad"));
    let body: serde_json::Value = serde_json::from_slice(&fake.asked()[0].body).unwrap();
    assert_eq!(body["Cmd"], serde_json::json!(["ls", "-l"]));
    assert_eq!((&body["User"], &body["WorkingDir"]), (&"5:6".into(), &serde_json::Value::Null));
}

#[tokio::test]
async fn a_command_that_does_not_end_meets_the_deadline() {
    let fake = Fake::start(|line| match line {
        "POST /containers/a/exec" => Reply::status(201, "{\"Id\":\"e1\"}"),
        _ => Reply::steps(vec![Step::Hang]),
    });
    let podman = fake.podman.within(Duration::from_millis(50));
    let error = soon(podman.exec("a", &ExecRequest::new(["sleep"]))).await.unwrap_err();
    assert!(matches!(error, PodmanError::Timeout { .. }), "{error:?}");
}
