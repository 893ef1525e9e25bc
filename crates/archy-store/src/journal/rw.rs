//! The journal's statements.

use archy_types::{AppId, Cause, Code, OperationId, Timestamp};
use rusqlite::{Connection, Row, params};
use serde_json::Value;

use super::model::{NewOperation, Operation, Phase, Step, StepResult, StepState};
use crate::db::Fault;
use crate::error::StoreError;
use crate::rows::{self, Reader};

pub(crate) fn queue(connection: &Connection, new: &NewOperation) -> Result<OperationId, Fault> {
    let sql = "INSERT INTO operations (app, kind, actor, phase, created, params, plan)
               VALUES (?, ?, ?, 'queued', ?, ?, 'null')";
    connection.prepare_cached(sql)?.execute(params![
        new.app.as_ref().map(AppId::as_str),
        new.kind,
        rows::to_json("the actor", &new.actor)?,
        new.created.0,
        rows::to_json("the parameters", &new.params)?,
    ])?;
    Ok(OperationId(connection.last_insert_rowid()))
}

pub(super) fn plan(
    connection: &Connection,
    id: OperationId,
    plan: &Value,
    steps: &[String],
    at: Timestamp,
) -> Result<u32, Fault> {
    require(connection, id, Phase::Running, |from| !from.is_end())?;
    let sql = "UPDATE operations SET phase = 'running', started = coalesce(started, ?), plan = ?
               WHERE id = ?";
    connection.prepare_cached(sql)?.execute(params![
        at.0,
        rows::to_json("the plan", plan)?,
        id.0
    ])?;
    skip_unfinished(connection, id, at, "planned again")?;
    let sql = "SELECT coalesce(max(seq), 0) + 1 FROM steps WHERE operation = ?";
    let first: u32 = connection.prepare_cached(sql)?.query_row([id.0], |row| row.get(0))?;
    let sql = "INSERT INTO steps (operation, seq, description, state) VALUES (?, ?, ?, 'pending')";
    let mut insert = connection.prepare_cached(sql)?;
    for (seq, description) in (first..).zip(steps) {
        insert.execute(params![id.0, seq, description])?;
    }
    Ok(first)
}

pub(super) fn start_step(
    connection: &Connection,
    id: OperationId,
    seq: u32,
    at: Timestamp,
) -> Result<(), Fault> {
    require(connection, id, Phase::Running, |from| from == Phase::Running)?;
    let sql = "UPDATE steps SET state = 'running', started = ?, finished = NULL, outcome = NULL
               WHERE operation = ? AND seq = ?";
    let changed = connection.prepare_cached(sql)?.execute(params![at.0, id.0, seq])?;
    found(changed, || format!("step {seq} of {id}"))
}

pub(super) fn next_step(
    connection: &Connection,
    id: OperationId,
    description: &str,
    at: Timestamp,
) -> Result<u32, Fault> {
    require(connection, id, Phase::Running, |from| !from.is_end())?;
    let sql = "UPDATE operations SET phase = 'running', started = ?
               WHERE id = ? AND phase = 'queued'";
    connection.prepare_cached(sql)?.execute(params![at.0, id.0])?;
    let sql = "UPDATE steps SET state = 'done', finished = ?
               WHERE operation = ? AND state = 'running'";
    connection.prepare_cached(sql)?.execute(params![at.0, id.0])?;
    let sql = "SELECT coalesce(
                   (SELECT min(seq) FROM steps
                    WHERE operation = ?1 AND state = 'pending' AND description = ?2),
                   (SELECT coalesce(max(seq), 0) + 1 FROM steps WHERE operation = ?1))";
    let seq: u32 =
        connection.prepare_cached(sql)?.query_row(params![id.0, description], |row| row.get(0))?;
    let sql = "INSERT INTO steps (operation, seq, description, state, started)
               VALUES (?, ?, ?, 'running', ?)
               ON CONFLICT DO UPDATE SET state = 'running', started = excluded.started";
    connection.prepare_cached(sql)?.execute(params![id.0, seq, description, at.0])?;
    Ok(seq)
}

pub(super) fn finish_step(
    connection: &Connection,
    id: OperationId,
    seq: u32,
    result: &StepResult,
    at: Timestamp,
) -> Result<(), Fault> {
    require(connection, id, Phase::Running, |from| from == Phase::Running)?;
    let (state, outcome) = result.parts();
    let sql = "UPDATE steps SET state = ?, finished = ?, outcome = ?
               WHERE operation = ? AND seq = ?";
    let changed = connection.prepare_cached(sql)?.execute(params![
        state.as_str(),
        at.0,
        outcome,
        id.0,
        seq
    ])?;
    found(changed, || format!("step {seq} of {id}"))
}

pub(super) fn note_step(
    connection: &Connection,
    id: OperationId,
    outcome: &str,
) -> Result<(), Fault> {
    require(connection, id, Phase::Running, |from| !from.is_end())?;
    let sql = "UPDATE steps SET outcome = ? WHERE operation = ? AND state = 'running'";
    connection.prepare_cached(sql)?.execute(params![outcome, id.0])?;
    Ok(())
}

pub(super) fn finish(
    connection: &Connection,
    id: OperationId,
    phase: Phase,
    cause: Option<&Cause>,
    at: Timestamp,
) -> Result<(), Fault> {
    require(connection, id, phase, |from| phase.is_end() && !from.is_end())?;
    let state = if phase == Phase::Done { StepState::Done } else { StepState::Failed };
    let why = cause.filter(|_| phase != Phase::Done).map(|cause| &cause.text);
    let sql = "UPDATE steps SET state = ?1, finished = ?2, outcome = CASE
                   WHEN ?3 IS NULL THEN outcome
                   WHEN outcome IS NULL THEN ?3
                   ELSE ?3 || char(10) || outcome END
               WHERE operation = ?4 AND state = 'running'";
    connection.prepare_cached(sql)?.execute(params![state.as_str(), at.0, why, id.0])?;
    skip_unfinished(connection, id, at, "the operation ended before it")?;
    let sql = "UPDATE operations SET phase = ?, finished = ?, cause_code = ?, cause_text = ?
               WHERE id = ?";
    connection.prepare_cached(sql)?.execute(params![
        phase.as_str(),
        at.0,
        cause.map(|cause| cause.code.as_str()),
        cause.map(|cause| &cause.text),
        id.0
    ])?;
    Ok(())
}

/// Notes why an operation that has not ended goes back.
pub(crate) fn goes_back(
    connection: &Connection,
    id: OperationId,
    cause: &Cause,
) -> Result<(), Fault> {
    require(connection, id, Phase::Running, |from| !from.is_end())?;
    let sql = "UPDATE operations SET cause_code = ?, cause_text = ? WHERE id = ?";
    let values = params![cause.code.as_str(), cause.text, id.0];
    connection.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

pub(super) fn operation(
    connection: &Connection,
    id: OperationId,
) -> Result<Option<Operation>, Fault> {
    let sql = "SELECT * FROM operations WHERE id = ?";
    let found = rows::one(connection, sql, [id.0], read_operation)?;
    found.map(|operation| with_steps(connection, operation)).transpose()
}

pub(super) fn open(connection: &Connection) -> Result<Vec<Operation>, Fault> {
    let sql = "SELECT * FROM operations WHERE phase IN ('queued', 'running') ORDER BY id";
    let found = rows::all(connection, sql, [], read_operation)?;
    found.into_iter().map(|operation| with_steps(connection, operation)).collect()
}

pub(super) fn history(
    connection: &Connection,
    app: Option<&AppId>,
    before: Option<OperationId>,
    limit: usize,
) -> Result<Vec<Operation>, Fault> {
    let before = before.map_or(i64::MAX, |id| id.0);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = match app {
        Some(app) => {
            let sql = "SELECT * FROM operations WHERE app = ? AND id < ? ORDER BY id DESC LIMIT ?";
            rows::all(connection, sql, params![app.as_str(), before, limit], read_operation)?
        }
        None => {
            let sql = "SELECT * FROM operations WHERE id < ? ORDER BY id DESC LIMIT ?";
            rows::all(connection, sql, params![before, limit], read_operation)?
        }
    };
    found.into_iter().map(|operation| with_steps(connection, operation)).collect()
}

pub(super) fn prune(connection: &Connection, keep: usize) -> Result<usize, Fault> {
    let sql = "DELETE FROM operations WHERE id IN (
                   SELECT id FROM (
                       SELECT id, row_number() OVER (PARTITION BY app ORDER BY id DESC) AS place
                       FROM operations WHERE phase NOT IN ('queued', 'running'))
                   WHERE place > ?)";
    Ok(connection.execute(sql, [i64::try_from(keep).unwrap_or(i64::MAX)])?)
}

/// Reads the operation's phase and refuses what `allowed` does not allow.
fn require(
    connection: &Connection,
    id: OperationId,
    to: Phase,
    allowed: impl Fn(Phase) -> bool,
) -> Result<(), Fault> {
    let sql = "SELECT id, phase FROM operations WHERE id = ?";
    let phase = rows::one(connection, sql, [id.0], |row| {
        Reader { row, table: "operations", key: id.to_string() }.parse::<Phase>("phase")
    })?;
    let from = phase.ok_or_else(|| StoreError::NotFound { what: format!("operation {id}") })?;
    if allowed(from) { Ok(()) } else { Err(StoreError::PhaseRefused { id, from, to }.into()) }
}

fn skip_unfinished(
    connection: &Connection,
    id: OperationId,
    at: Timestamp,
    why: &str,
) -> Result<(), Fault> {
    let sql = "UPDATE steps SET state = 'skipped', finished = ?, outcome = ?
               WHERE operation = ? AND state IN ('pending', 'running')";
    connection.prepare_cached(sql)?.execute(params![at.0, why, id.0])?;
    Ok(())
}

fn found(changed: usize, what: impl Fn() -> String) -> Result<(), Fault> {
    if changed == 0 { Err(StoreError::NotFound { what: what() }.into()) } else { Ok(()) }
}

fn with_steps(connection: &Connection, mut operation: Operation) -> Result<Operation, Fault> {
    let sql = "SELECT * FROM steps WHERE operation = ? ORDER BY seq";
    operation.steps = rows::all(connection, sql, [operation.id.0], |row| {
        let reader = Reader { row, table: "steps", key: operation.id.to_string() };
        Ok(Step {
            seq: reader.get("seq")?,
            description: reader.get("description")?,
            state: reader.parse::<StepState>("state")?,
            started: reader.get::<Option<i64>>("started")?.map(Timestamp),
            finished: reader.get::<Option<i64>>("finished")?.map(Timestamp),
            outcome: reader.get("outcome")?,
        })
    })?;
    Ok(operation)
}

fn read_operation(row: &Row<'_>) -> Result<Operation, Fault> {
    let id = OperationId(row.get("id")?);
    let reader = Reader { row, table: "operations", key: id.to_string() };
    let code: Option<String> = reader.get("cause_code")?;
    let cause = code
        .map(|code| -> Result<Cause, Fault> {
            let code: Code = serde_json::from_value(Value::String(code))
                .map_err(|error| reader.bad("cause_code", &error))?;
            Ok(Cause {
                code,
                text: reader.get::<Option<String>>("cause_text")?.unwrap_or_default(),
            })
        })
        .transpose()?;
    Ok(Operation {
        id,
        app: reader.app("app")?,
        kind: reader.get("kind")?,
        actor: reader.json("actor")?,
        phase: reader.parse("phase")?,
        created: Timestamp(reader.get("created")?),
        started: reader.get::<Option<i64>>("started")?.map(Timestamp),
        finished: reader.get::<Option<i64>>("finished")?.map(Timestamp),
        cause,
        params: reader.json("params")?,
        plan: reader.json("plan")?,
        steps: Vec::new(),
    })
}
