use std::io::Write;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::find;
use crate::app::cli::{JobListOptions, JobLogOptions, JobShowOptions};
use crate::app::commands::opening::{open, say};
use crate::app::config::Environment;
use crate::engine::Stage;
use crate::jobs::Outcome;
use crate::ledger::Connection;
use crate::ledger::reader::{self, JobFilter, JobRow};

/// Most transitions that are shown of a job.
const TRANSITIONS: u32 = 1_000;

/// Lists jobs, newest first.
pub(super) async fn list(
    options: &JobListOptions,
    environment: &Environment,
) -> anyhow::Result<()> {
    let opened = open(options.subject.keeper.as_deref(), environment).await?;
    let mut connection = opened.ledger.acquire().await?;
    let filter = JobFilter {
        phase: options.phase,
        outcome: options.outcome,
        ..JobFilter::default()
    };
    let jobs =
        reader::list_jobs(&mut connection, opened.deployment, &filter, options.limit).await?;
    if options.json {
        let jobs: Vec<_> = jobs.iter().map(summary).collect();
        return say(serde_json::to_string_pretty(&jobs)?);
    }
    if jobs.is_empty() {
        return say("there are no such jobs");
    }
    for job in jobs {
        say(format!(
            "{}  {}  {}",
            job.name,
            job.created_at,
            standing(&job)
        ))?;
    }
    Ok(())
}

/// Shows a job with its attempts and everything that moved it.
pub(super) async fn show(
    options: &JobShowOptions,
    environment: &Environment,
) -> anyhow::Result<()> {
    let opened = open(options.subject.keeper.as_deref(), environment).await?;
    let mut connection = opened.ledger.acquire().await?;
    let job = find(&opened, &mut connection, &options.job).await?;
    let shown = whole(&mut connection, &job).await?;
    if options.json {
        return say(serde_json::to_string_pretty(&shown)?);
    }
    say(format!("{}  {}", job.name, standing(&job)))?;
    say(format!("agreement  {}", job.agreement.0))?;
    say(format!("asset      {}", job.did))?;
    say(format!("consumer   {}", job.consumer))?;
    for line in lines(&shown) {
        say(line)?;
    }
    Ok(())
}

/// Prints the log of a stage, as bytes.
pub(super) async fn logs(options: &JobLogOptions, environment: &Environment) -> anyhow::Result<()> {
    let stage = match options.stage.as_str() {
        "algorithm" => Stage::Algorithm,
        "filter" => Stage::Filter,
        other => bail!("--stage is {other:?}, not algorithm or filter"),
    };
    let opened = open(options.subject.keeper.as_deref(), environment).await?;
    let mut connection = opened.ledger.acquire().await?;
    let job = find(&opened, &mut connection, &options.job).await?;
    if reader::is_erased(&mut connection, job.id).await? {
        bail!("the logs of {} were erased by an operator", job.name);
    }
    let log = reader::find_job_log(&mut connection, job.id, stage).await?;
    let log = log.with_context(|| format!("{} has no log of this stage yet", job.name))?;
    let mut offset = 0;
    while let Some((start, piece)) = reader::chunk_from(&mut connection, &log, offset).await? {
        std::io::stdout().write_all(&piece)?;
        offset = start + piece.len() as u64;
    }
    Ok(())
}

/// Where a job stands, in words.
fn standing(job: &JobRow) -> String {
    let outcome = job.outcome.map(Outcome::as_str);
    let words = [outcome, job.reason.as_deref()];
    let words = words.into_iter().flatten();
    let words = std::iter::once(job.phase.as_str()).chain(words);
    format!(
        "{} (attempt {})",
        words.collect::<Vec<_>>().join(", "),
        job.attempt
    )
}

fn summary(job: &JobRow) -> Value {
    json!({
        "id": job.name, "phase": job.phase, "outcome": job.outcome, "reason": job.reason, "attempt": job.attempt,
        "agreementId": job.agreement.0, "did": job.did, "consumer": job.consumer, "createdAt": job.created_at,
        "startedAt": job.started_at, "finishedAt": job.finished_at,
    })
}

async fn whole(connection: &mut Connection, job: &JobRow) -> anyhow::Result<Value> {
    let mut shown = summary(job);
    let attempts = reader::list_attempts(connection, job.id).await?;
    let attempts = attempts.iter().map(|attempt| {
        json!({
            "attempt": attempt.number, "startedAt": attempt.started_at, "finishedAt": attempt.finished_at,
            "stages": attempt.stages,
        })
    });
    shown["attempts"] = attempts.collect();
    let moves = reader::list_transitions(connection, job.id, 0, TRANSITIONS).await?;
    let moves = moves.iter().map(|step| {
        json!({
            "number": step.number, "at": step.at, "phase": step.phase, "outcome": step.outcome, "reason": step.reason,
            "attempt": step.attempt, "worker": step.worker,
        })
    });
    shown["transitions"] = moves.collect();
    Ok(shown)
}

fn lines(shown: &Value) -> Vec<String> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut lines = Vec::new();
    for attempt in list(&shown["attempts"]) {
        for stage in list(&attempt["stages"]) {
            lines.push(format!(
                "attempt {}  {}  from {} to {}  exit code {}",
                text(&attempt["attempt"]),
                text(&stage["stage"]),
                text(&stage["startedAt"]),
                text(&stage["finishedAt"]),
                text(&stage["exitCode"]),
            ));
        }
    }
    for step in list(&shown["transitions"]) {
        lines.push(format!(
            "{}  {}  {}  {}  {}  by {}",
            text(&step["number"]),
            text(&step["at"]),
            text(&step["phase"]),
            text(&step["outcome"]),
            text(&step["reason"]),
            text(&step["worker"]),
        ));
    }
    lines
}
