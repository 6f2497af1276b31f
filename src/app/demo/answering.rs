//! What the publisher's agent does in the story.

use std::time::{Duration, Instant};

use alloy::primitives::U256;
use anyhow::bail;

use super::story::{PATIENCE, Story};
use super::telling::Telling;
use crate::keeper::purchase::Purchase;
use crate::ledger::reader::ActRow;

impl Story {
    /// The money goes to the publisher, now that the job has succeeded.
    pub(super) async fn release(&self, telling: &mut Telling) -> anyhow::Result<()> {
        telling.step("The agent releases the escrow");
        let purchase = self.people.purchase("honest", self.did);
        let act = self
            .act("release", &purchase, |act| act.state == "done")
            .await?;
        telling.check(
            act.done_by.as_deref() == Some("agent"),
            format_args!(
                "{}  block {}  the publisher is paid",
                act.transaction.unwrap_or_default(),
                act.block.unwrap_or_default()
            ),
        );
        Ok(())
    }

    /// Purchases that no honest consumer makes.
    pub(super) async fn hostile_purchases(&self, telling: &mut Telling) -> anyhow::Result<()> {
        telling.step("Two purchases that look paid and are not: the agent declines, so the money can come back");
        let people = &self.people;
        let mut to_himself = people.purchase("paid to himself", self.did);
        to_himself.reward_address = people.consumer.address();
        let mut cheap = people.purchase("paid nothing", self.did);
        cheap.amount = U256::ZERO;
        let before = self.site.workflows().await?;
        for (purchase, reason) in [(to_himself, "lock_mismatch"), (cheap, "underpaid")] {
            let calls = vec![purchase.create(), purchase.approve(), purchase.lock()];
            people.consumer.send_all(calls).await?;
            let act = self
                .act("approve", &purchase, |act| act.state == "declined")
                .await?;
            let told = act.reason.unwrap_or_default();
            let sentence = act.detail.unwrap_or_default();
            telling.check(told == reason, format_args!("declined, {told}: {sentence}"));
        }
        let after = self.site.workflows().await?;
        telling.check(after <= before, "neither made a workflow");
        Ok(())
    }

    /// The agent's act about a purchase, once it is as wanted.
    pub(super) async fn act(
        &self,
        kind: &str,
        purchase: &Purchase,
        wanted: impl Fn(&ActRow) -> bool,
    ) -> anyhow::Result<ActRow> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let act = self.database.act(kind, purchase.agreement).await?;
            if let Some(act) = act.filter(|act| wanted(act)) {
                return Ok(act);
            }
            if Instant::now() > deadline {
                bail!(
                    "the agent did not {kind} agreement {} as expected",
                    purchase.agreement
                );
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
