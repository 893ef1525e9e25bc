//! Whatever is journaled in whatever order: phases only go forward, ids order operations, steps are
//! numbered without gaps, and a restart changes nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use archy_store::{
    NewOperation, Operation, Options, Phase, StepResult, StepState, Store, StoreError,
};
use archy_types::{Actor, OperationId, Timestamp};
use proptest::prelude::*;
use serde_json::json;

#[derive(Debug, Clone)]
enum Action {
    Queue,
    Plan { op: usize, steps: usize },
    Start { op: usize, seq: u32 },
    Finish { op: usize, seq: u32 },
    Next { op: usize, step: usize },
    End { op: usize, phase: Phase },
    Reopen,
}

fn action() -> impl Strategy<Value = Action> {
    let op = 0..4usize;
    prop_oneof![
        2 => Just(Action::Queue),
        3 => (op.clone(), 0..4usize).prop_map(|(op, steps)| Action::Plan { op, steps }),
        4 => (op.clone(), 0..6u32).prop_map(|(op, seq)| Action::Start { op, seq }),
        4 => (op.clone(), 0..6u32).prop_map(|(op, seq)| Action::Finish { op, seq }),
        3 => (op.clone(), 0..4usize).prop_map(|(op, step)| Action::Next { op, step }),
        2 => (op, prop::sample::select(Phase::ALL)).prop_map(|(op, phase)| Action::End { op, phase }),
        1 => Just(Action::Reopen),
    ]
}

const RANK: fn(Phase) -> u8 = |phase| match phase {
    Phase::Queued => 0,
    Phase::Running => 1,
    _ => 2,
};

/// Refusals are part of the game; faults are not.
fn refusal<T>(result: Result<T, StoreError>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(StoreError::PhaseRefused { .. } | StoreError::NotFound { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

async fn act(store: &Store, ids: &mut Vec<OperationId>, action: &Action, at: Timestamp) {
    let of = |ids: &[OperationId], op: usize| {
        ids.get(op).copied().unwrap_or(OperationId(i64::try_from(op).unwrap() + 1000))
    };
    match *action {
        Action::Queue => {
            let new = NewOperation {
                app: None,
                kind: "k".into(),
                actor: Actor::System,
                params: json!({}),
                created: at,
            };
            let id = store.queue_operation(new).await.unwrap();
            assert!(ids.last().is_none_or(|last| *last < id), "ids rise");
            ids.push(id);
        }
        Action::Plan { op, steps } => {
            let texts = (0..steps).map(|step| format!("s{step}")).collect();
            refusal(store.plan_operation(of(ids, op), json!([steps]), texts, at).await);
        }
        Action::Start { op, seq } => {
            refusal(store.start_step(of(ids, op), seq, at).await);
        }
        Action::Finish { op, seq } => {
            let result = StepResult::Done(None);
            refusal(store.finish_step(of(ids, op), seq, result, at).await);
        }
        Action::Next { op, step } => {
            refusal(store.next_step(of(ids, op), &format!("s{step}"), at).await);
        }
        Action::End { op, phase } => {
            refusal(store.finish_operation(of(ids, op), phase, None, at).await);
        }
        Action::Reopen => {}
    }
}

fn check(before: &[Operation], after: &[Operation], open: &[Operation]) {
    for operation in after {
        let numbers: Vec<_> = operation.steps.iter().map(|step| step.seq).collect();
        let expected: Vec<_> = (1..).take(numbers.len()).collect();
        assert_eq!(numbers, expected, "no gaps");
        assert_eq!(operation.phase.is_end(), operation.finished.is_some());
        assert_eq!(open.iter().any(|it| it.id == operation.id), !operation.phase.is_end());
        if operation.phase.is_end() {
            let unfinished = |state| matches!(state, StepState::Pending | StepState::Running);
            assert!(!operation.steps.iter().any(|step| unfinished(step.state)));
        }
        if let Some(old) = before.iter().find(|old| old.id == operation.id) {
            assert!(RANK(old.phase) <= RANK(operation.phase), "phases go forward");
            assert!(old.steps.len() <= operation.steps.len(), "steps are never lost");
            if old.phase.is_end() {
                assert_eq!(old, operation, "what has ended stays as it is");
            }
        }
    }
    assert!(after.len() >= before.len());
    assert!(after.windows(2).all(|pair| pair[0].id > pair[1].id), "newest first");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn the_journal_is_ordered(actions in prop::collection::vec(action(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let options = Options::new(dir.path());
            let mut store = Store::open(&options).unwrap();
            let mut ids = Vec::new();
            let mut before = Vec::new();
            for (at, action) in (1..).zip(&actions) {
                act(&store, &mut ids, action, Timestamp(at)).await;
                if matches!(action, Action::Reopen) {
                    drop(store);
                    store = Store::open(&options).unwrap();
                    assert_eq!(store.history(None, None, 500).await.unwrap(), before);
                }
                let after = store.history(None, None, 500).await.unwrap();
                check(&before, &after, &store.open_operations().await.unwrap());
                before = after;
            }
        });
    }
}
