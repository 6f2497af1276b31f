use chrono::{DateTime, Utc};
use serde::Serialize;

use super::opening::{Opened, open, say};
use crate::app::cli::StatusOptions;
use crate::app::config::Environment;
use crate::clock::{Clock, SystemClock};
use crate::ledger::overview::{self, Overview};
use crate::ledger::providers::{self, ProviderRow};
use crate::ledger::{cursors, operator_actions, verification};

/// Says in one screen how far everything is, and what needs an operator.
pub(in crate::app) async fn run(
    options: &StatusOptions,
    environment: &Environment,
) -> anyhow::Result<()> {
    let opened = open(options.subject.keeper.as_deref(), environment).await?;
    let status = Status::read(&opened).await?;
    if options.json {
        return say(serde_json::to_string_pretty(&status)?);
    }
    for line in status.lines() {
        say(line)?;
    }
    Ok(())
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    deployment: i64,
    head: Option<u64>,
    irreversible: Option<u64>,
    recorded: u64,
    judged: u64,
    verified: u64,
    act: Option<u64>,
    lag_blocks: Option<u64>,
    halt: Option<String>,
    unverified: Option<String>,
    pause: Option<String>,
    waiting: u64,
    queued: u64,
    running: u64,
    parked: u64,
    upgrades_held: u64,
    repairs: u64,
    disagreements: u64,
    providers: Vec<Node>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    name: String,
    head: Option<u64>,
    answered_at: Option<DateTime<Utc>>,
    failed_at: Option<DateTime<Utc>>,
    failure: Option<String>,
}

impl From<ProviderRow> for Node {
    fn from(row: ProviderRow) -> Self {
        Self {
            name: row.name,
            head: row.head,
            answered_at: row.answered_at,
            failed_at: row.failed_at,
            failure: row.failure,
        }
    }
}

impl Status {
    async fn read(opened: &Opened) -> anyhow::Result<Self> {
        let mut connection = opened.ledger.acquire().await?;
        let id = opened.deployment;
        let cursor = cursors::get(&mut connection, id).await?;
        let standing = verification::get(&mut connection, id).await?;
        let Overview {
            waiting,
            queued,
            running,
            parked,
            upgrades_held,
            repairs,
            disagreements,
        } = overview::get(&mut connection, id).await?;
        let recorded = cursor.position.recorded.number;
        let head = cursor.head.map(|block| block.number);
        let nodes = providers::list(&mut connection, id).await?;
        Ok(Self {
            deployment: id.0,
            head,
            irreversible: cursor.irreversible.map(|block| block.number),
            recorded,
            judged: cursor.judged.number,
            verified: cursor.verified,
            act: cursor.act,
            lag_blocks: head.map(|head| head.saturating_sub(recorded)),
            halt: cursor.halt,
            unverified: standing.unverified,
            pause: operator_actions::find_pause(&mut connection).await?,
            waiting,
            queued,
            running,
            parked,
            upgrades_held,
            repairs,
            disagreements,
            providers: nodes.into_iter().map(Node::from).collect(),
        })
    }

    fn lines(&self) -> Vec<String> {
        let number =
            |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |it| it.to_string());
        let behind = self.lag_blocks.map(|lag| format!(", {lag} blocks behind"));
        let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
        let unverified = self.unverified.as_ref().map(|why| format!(", held: {why}"));
        let admission = match self.upgrades_held {
            0 => "open".to_owned(),
            held => format!(
                "held by {held} upgrades that the deployment file does not list; see the view tidewatch.upgrades, then `tidewatch follower release-upgrades`"
            ),
        };
        let mut lines = vec![
            format!("deployment    {}", self.deployment),
            format!("head          {}", number(self.head)),
            format!("irreversible  {}", number(self.irreversible)),
            format!(
                "recorded      {}{}",
                self.recorded,
                behind.unwrap_or_default()
            ),
            format!("judged        {}", self.judged),
            format!(
                "verified      {}{}",
                self.verified,
                unverified.unwrap_or_default()
            ),
            format!("may act up to {}", number(self.act)),
            format!("halt          {}", or_none(&self.halt)),
            format!("pause         {}", or_none(&self.pause)),
            format!("admission     {admission}"),
            format!(
                "jobs          {} waiting, {} queued, {} running",
                self.waiting, self.queued, self.running
            ),
            format!("parked        {}", self.parked),
            format!("repairs       {}", self.repairs),
            format!("disagreements {}", self.disagreements),
        ];
        lines.extend(self.providers.iter().map(Node::line));
        lines
    }
}

impl Node {
    fn line(&self) -> String {
        let ago = |at: DateTime<Utc>| (SystemClock.now() - at).num_seconds().max(0);
        let head = match (self.head, self.answered_at) {
            (Some(head), Some(at)) => format!("head {head}, {} s ago", ago(at)),
            _ => "never answered".to_owned(),
        };
        let failed = self.failed_at.filter(|at| Some(*at) > self.answered_at);
        let failure = failed.map(|at| {
            let why = self.failure.as_deref().unwrap_or("unknown");
            format!("; failed {} s ago: {why}", ago(at))
        });
        format!(
            "provider      {}: {head}{}",
            self.name,
            failure.unwrap_or_default()
        )
    }
}
