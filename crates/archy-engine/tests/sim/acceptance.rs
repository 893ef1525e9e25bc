//! Which wishes are taken, which are true already, which are denied: against a small model, over
//! random conversations with a node on which nothing goes wrong.

use archy_engine::Accepted;
use archy_testkit::sim::Rng;

use crate::node::{Answer, Ask, Node, Wish};
use crate::{setting, settle, simulate};

/// What becomes of a wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Queued,
    AlreadySo,
    Denied(&'static str),
}

/// The model: all there is to know of an app at rest is whether it is there, which version it has,
/// whether it runs, its setting, and which version it had before its last update.
fn expected(wish: &Wish, ask: Ask, before: Option<u32>) -> Verdict {
    let Wish::Present { version, running, title, .. } = wish else {
        return match ask {
            Ask::Install(_) | Ask::PurgeLeft => Verdict::Queued,
            Ask::Adopt(_) => Verdict::Denied("adopt-no-match"),
            _ => Verdict::Denied("app-not-installed"),
        };
    };
    match ask {
        Ask::Install(asked) | Ask::Update(asked) if asked < *version => {
            Verdict::Denied("downgrade-refused")
        }
        Ask::Install(asked) if asked == *version && *running => Verdict::AlreadySo,
        Ask::Update(asked) if asked == *version => Verdict::AlreadySo,
        Ask::Rollback { keep_data } => match before {
            None => Verdict::Denied("rollback-impossible"),
            Some(before) if keep_data && before < *version => Verdict::Denied("downgrade-refused"),
            Some(_) => Verdict::Queued,
        },
        Ask::Migrate | Ask::MigrateBack | Ask::MigrateCommit => Verdict::Denied("not-adopted"),
        Ask::Adopt(_) => Verdict::Denied("already-installed"),
        Ask::Start if *running => Verdict::AlreadySo,
        Ask::Stop if !*running => Verdict::AlreadySo,
        Ask::Configure(number) if *title == Some(format!("Title {number}")) => Verdict::AlreadySo,
        _ => Verdict::Queued,
    }
}

/// While an operation is at work only what is asked for anew counts: nothing is true already but a
/// setting that has its value. An update and its way back let nothing in between that changes as much.
fn expected_at_work(wish: &Wish, first: Ask, ask: Ask) -> Verdict {
    let transaction = matches!(first, Ask::Update(_) | Ask::Rollback { .. });
    let waits = matches!(
        ask,
        Ask::Start | Ask::Stop | Ask::Restart | Ask::Uninstall | Ask::Purge | Ask::PurgeLeft
    );
    if transaction && !waits {
        return Verdict::Denied("busy");
    }
    match expected(wish, ask, None) {
        Verdict::AlreadySo if !matches!(ask, Ask::Configure(_)) => Verdict::Queued,
        verdict => verdict,
    }
}

fn verdict(answer: &Answer) -> Option<Verdict> {
    let said = match answer {
        Answer::Said(said) => said,
        Answer::Lost => return None,
    };
    Some(match said {
        Ok(Accepted::Operation(_)) => Verdict::Queued,
        Ok(Accepted::AlreadySo) => Verdict::AlreadySo,
        Err(error) => {
            let known = [
                "app-not-installed",
                "downgrade-refused",
                "rollback-impossible",
                "not-adopted",
                "already-installed",
                "adopt-no-match",
                "busy",
            ];
            let code = known.into_iter().find(|code| *code == error.code.as_str());
            Verdict::Denied(code.unwrap_or("something else"))
        }
    })
}

fn pick(rng: &mut Rng) -> Ask {
    let asks = [
        Ask::Install(1),
        Ask::Install(2),
        Ask::Start,
        Ask::Stop,
        Ask::Restart,
        Ask::Configure(1),
        Ask::Configure(2),
        Ask::Uninstall,
        Ask::Purge,
        Ask::PurgeLeft,
        Ask::Update(1),
        Ask::Update(2),
        Ask::Update(2),
        Ask::Rollback { keep_data: false },
        Ask::Rollback { keep_data: true },
        Ask::Adopt(1),
        Ask::Migrate,
        Ask::MigrateBack,
        Ask::MigrateCommit,
    ];
    *rng.pick(&asks).unwrap()
}

async fn converse(seed: u64) {
    let mut rng = Rng::new(seed);
    let mut node = Node::new(seed, &[]).await;
    let mut said = Vec::new();
    let mut before = None;
    for _ in 0..20 {
        let wish = node.wishes[&crate::shapes::id("web")].first().unwrap().clone();
        let ask = pick(&mut rng);
        let answer = node.ask("web", ask).await;
        said.push(format!("{wish:?} ({before:?} before), {ask:?}: {answer:?}"));
        assert_eq!(verdict(&answer), Some(expected(&wish, ask, before)), "seed {seed}: {said:#?}");
        let queued = verdict(&answer) == Some(Verdict::Queued);
        let stays = !matches!(ask, Ask::Uninstall | Ask::Purge | Ask::PurgeLeft | Ask::Install(_));
        if queued && stays && rng.percent(50) {
            // a second wish, while the first is at work
            let later = node.wishes[&crate::shapes::id("web")].last().unwrap().clone();
            let second = pick(&mut rng);
            // what it goes back to is another one then
            if !matches!(second, Ask::Rollback { .. }) || matches!(ask, Ask::Update(_)) {
                let answer = node.ask("web", second).await;
                said.push(format!("at work, {later:?}, {second:?}: {answer:?}"));
                let expected = expected_at_work(&later, ask, second);
                assert_eq!(verdict(&answer), Some(expected), "seed {seed}: {said:#?}");
            }
        }
        settle(&mut node).await.unwrap();
        let now = node.wishes[&crate::shapes::id("web")].first().unwrap();
        before = match (&wish, now) {
            (_, Wish::Absent) => None,
            (Wish::Present { version: old, .. }, Wish::Present { version: new, .. })
                if old != new =>
            {
                (!matches!(ask, Ask::Rollback { .. })).then_some(*old)
            }
            _ => before,
        };
    }
}

#[test]
fn wishes_are_taken_as_the_model_says() {
    let seeds = setting("ARCHY_SIM_SEEDS").and_then(|text| text.parse().ok()).unwrap_or(15_u64);
    for seed in 1..=seeds.min(2000) {
        simulate(converse(seed));
    }
}
