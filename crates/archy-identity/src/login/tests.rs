//! Login with a linked signer: what is accepted and what is not.

use nostr::key::Keys;

use super::*;

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const ORIGIN: &str = "https://node.local";

fn at(secs: i64) -> Timestamp {
    Timestamp(NOW.0 + secs * 1000)
}

#[test]
fn only_the_right_event_approves() {
    let (keys, other) = (Keys::generate(), Keys::generate());
    let attempt = Attempt::new(ORIGIN, NOW).unwrap();
    assert_eq!((attempt.id.len(), attempt.challenge.len(), attempt.code.len()), (32, 64, 4));
    let enrolled = [keys.public_key()];
    let template = attempt.template(at(1));
    let good = template.sign(&keys).unwrap();
    assert_eq!(attempt.approved_by(&good, &enrolled, at(2)), Ok(keys.public_key()));
    let refused = |event: &Event, now| attempt.approved_by(event, &enrolled, now).unwrap_err();
    assert_eq!(refused(&good, at(121)), Unfit::Expired);
    assert_eq!(refused(&good, at(-1)), Unfit::Expired);
    let mut kind = template.clone();
    kind.kind = 1;
    let mut old = template.clone();
    old.created_at -= 70;
    let origin = Attempt { origin: "https://node.local:8443".into(), ..attempt.clone() };
    let challenge = Attempt { challenge: "0".repeat(64), ..attempt.clone() };
    let code = Attempt { code: "xxxx".into(), ..attempt.clone() };
    for wrong in [
        kind,
        old,
        origin.template(at(1)),
        challenge.template(at(1)),
        code.template(at(1)),
        template.clone().tag(&["code", &attempt.code]),
    ] {
        assert_eq!(refused(&wrong.sign(&keys).unwrap(), at(2)), Unfit::Event);
    }
    assert_eq!(refused(&template.sign(&other).unwrap(), at(2)), Unfit::Event);
    let mut forged = good.clone();
    forged.content = "another".into();
    assert_eq!(refused(&forged, at(2)), Unfit::Event);
}

#[test]
fn an_approval_counts_once() {
    let mut attempts = Attempts::default();
    let attempt = Attempt::new(ORIGIN, NOW).unwrap();
    attempts.start(attempt.clone(), "192.0.2.1", NOW).unwrap();
    let second = Attempt::new(ORIGIN, NOW).unwrap();
    assert_eq!(attempts.start(second, "192.0.2.2", NOW), Err(Outcome::RefusedBusy));
    assert!(attempts.open(&attempt.id, at(1)).is_some());
    assert!(attempts.open("other", at(1)).is_none());
    assert!(attempts.end(&attempt.id, Outcome::Approved, Some("i".into()), at(2)));
    assert!(!attempts.end(&attempt.id, Outcome::Approved, Some("i".into()), at(3)));
    let words: Vec<_> = attempts.recent().map(|recent| recent.outcome.word()).collect();
    assert_eq!(words, ["approved", "refused-busy"]);
}

#[test]
fn failures_make_pauses_and_a_password_ends_them() {
    let mut attempts = Attempts::default();
    let mut now = 0;
    for pause in [30, 120, 600, 600] {
        // outside of the budget's window
        now += 601;
        let attempt = Attempt::new(ORIGIN, at(now)).unwrap();
        attempts.start(attempt.clone(), "", at(now)).unwrap();
        attempts.end(&attempt.id, Outcome::Denied, None, at(now));
        assert_eq!(attempts.paused_until(at(now)), Some(at(now + pause)));
        let again = Attempt::new(ORIGIN, at(now)).unwrap();
        assert_eq!(attempts.start(again, "", at(now + 1)), Err(Outcome::RefusedBudget));
    }
    attempts.forgive();
    assert_eq!(attempts.paused_until(at(now)), None);
    attempts.start(Attempt::new(ORIGIN, at(now)).unwrap(), "", at(now)).unwrap();
}

#[test]
fn the_budget_is_three_in_ten_minutes() {
    let mut attempts = Attempts::default();
    for second in [0, 1, 2] {
        let attempt = Attempt::new(ORIGIN, at(second)).unwrap();
        attempts.start(attempt.clone(), "", at(second)).unwrap();
        attempts.end(&attempt.id, Outcome::Approved, None, at(second));
    }
    let fourth = || Attempt::new(ORIGIN, at(3)).unwrap();
    assert_eq!(attempts.start(fourth(), "", at(3)), Err(Outcome::RefusedBudget));
    attempts.start(fourth(), "", at(601)).unwrap();
}

#[test]
fn nobody_answering_is_a_failure() {
    let mut attempts = Attempts::default();
    let attempt = Attempt::new(ORIGIN, NOW).unwrap();
    attempts.start(attempt.clone(), "", NOW).unwrap();
    assert!(attempts.open(&attempt.id, at(121)).is_none());
    assert_eq!(attempts.recent().next().unwrap().outcome, Outcome::Expired);
    assert!(attempts.paused_until(at(122)).is_some());
    for index in 0..100 {
        let _ = attempts.start(Attempt::new(ORIGIN, NOW).unwrap(), &index.to_string(), at(122));
    }
    assert_eq!(attempts.recent().count(), KEPT);
}
