//! Against servers on loopback that answer well, badly, slowly or not at all.

use std::thread;

use super::*;

fn check(line: &str) -> Result<String, String> {
    run(&crate::args::parse(line.split(' ').map(str::to_owned)).unwrap())
}

/// Serves one connection with these bytes, and then holds it open or not.
fn serve(listener: TcpListener, answer: &'static str, hold: bool) -> u16 {
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 512];
        let n = stream.read(&mut request).unwrap();
        assert!(request[..n].starts_with(b"GET /"));
        stream.write_all(answer.as_bytes()).unwrap();
        if hold {
            // until the probe has gone
            let _ = stream.read(&mut request);
        }
    });
    port
}

fn v4() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

#[test]
fn statuses_decide() {
    for (answer, flags, well) in [
        ("HTTP/1.1 200 OK\r\n\r\n", "", true),
        ("HTTP/1.0 204\r\n", "", true),
        ("HTTP/1.1 302 Found\r\n\r\n", "", false),
        ("HTTP/1.1 302 Found\r\n\r\n", " --expect 3xx", true),
        ("HTTP/1.1 401 No\r\n\r\n", " --expect 401", true),
        ("HTTP/1.1 500 Oh\r\n\r\n", "", false),
        ("SSH-2.0-x\r\n", "", false),
        ("", "", false),
    ] {
        let port = serve(v4(), answer, false);
        let got = check(&format!("http 127.0.0.1:{port}/health{flags}"));
        assert_eq!(got.is_ok(), well, "{answer:?}{flags}: {got:?}");
    }
}

#[test]
fn the_reason_is_one_line() {
    let port = serve(v4(), "HTTP/1.1 503 Not Ready\r\n\r\n", false);
    let why = check(&format!("http 127.0.0.1:{port}/x")).unwrap_err();
    assert!(why.contains("503, expected 2xx") && !why.contains('\n'), "{why}");
}

#[test]
fn a_silent_server_meets_the_limit() {
    let port = serve(v4(), "HTTP/1.1 ", true);
    let why = check(&format!("http 127.0.0.1:{port} --timeout-secs 1")).unwrap_err();
    assert!(why.contains("timed out"), "{why}");
}

#[test]
fn a_late_answer_is_waited_for_only_where_there_is_a_reason() {
    let line = |port| format!("http 127.0.0.1:{port} --timeout-secs 1");
    let command = |port| crate::args::parse(line(port).split(' ').map(str::to_owned)).unwrap();
    // the first connection is left without an answer until it is given up, the second is answered
    let silent_at_first = || {
        let listener = v4();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            let (mut first, _) = listener.accept().unwrap();
            let _gone = first.read_to_end(&mut Vec::new());
            if let Ok((mut second, _)) = listener.accept() {
                let _sent = second.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
            }
        });
        command(port)
    };
    let found = in_time(&silent_at_first(), || Some(Duration::from_secs(20))).unwrap();
    assert!(found.contains("late"), "{found}");
    assert!(in_time(&silent_at_first(), || None).is_err());
    // an answer that is bad, but not late, stays bad
    let bad = command(serve(v4(), "HTTP/1.1 500 Oh\r\n\r\n", false));
    assert!(in_time(&bad, || panic!("it was in time")).is_err());
}

#[test]
fn loopback_is_both_families() {
    let Ok(listener) = TcpListener::bind("[::1]:0") else { return };
    let port = serve(listener, "HTTP/1.1 200 OK\r\n\r\n", false);
    let found = check(&format!("http localhost:{port}")).unwrap();
    assert!(found.contains("[::1]"), "{found}");
}

#[test]
fn connections_and_free_ports() {
    let listener = v4();
    let port = listener.local_addr().unwrap().port();
    assert!(check(&format!("tcp 127.0.0.1:{port}")).is_ok());
    for target in [format!("127.0.0.1:{port}"), port.to_string()] {
        let why = check(&format!("port-free {target} --timeout-secs 1")).unwrap_err();
        assert!(why.contains("not free"), "{why}");
    }
    drop(listener);
    assert!(check(&format!("port-free 127.0.0.1:{port} --timeout-secs 5")).is_ok());
    assert!(check(&format!("tcp 127.0.0.1:{port}")).is_err());
}

#[test]
fn a_port_that_becomes_free_is_waited_for() {
    let listener = v4();
    let port = listener.local_addr().unwrap().port();
    let wait = thread::spawn(move || check(&format!("port-free {port} --timeout-secs 20")));
    drop(listener);
    assert!(wait.join().unwrap().is_ok());
}

#[test]
fn files() {
    let path = std::env::current_exe().unwrap();
    assert!(check(&format!("wait-file {}", path.display())).is_ok());
    assert!(check("wait-file /nonexistent/x --timeout-secs 1").is_err());
}

#[test]
fn a_program_decides() {
    assert!(check("exec -- true").is_ok());
    for (line, says) in
        [("exec -- false", "exit status: 1"), ("exec --timeout-secs 1 -- sleep 60", "no time left")]
    {
        let why = check(line).unwrap_err();
        assert!(why.contains(says), "{line}: {why}");
    }
}

#[test]
fn waiting_lasts_until_it_is_well() {
    let mut answers = ["not yet", "not yet", ""].into_iter();
    let end = Instant::now() + Duration::from_secs(30);
    let found = wait(end, || match answers.next() {
        Some("") => Ok(()),
        why => Err(why.unwrap_or_default().to_owned()),
    });
    assert_eq!((found, answers.len()), (Ok(()), 0));
    assert_eq!(wait(Instant::now(), || Err::<(), _>("no".to_owned())), Err("no".to_owned()));
}
