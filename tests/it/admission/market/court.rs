use std::sync::Arc;

use alloy::primitives::Address;
use tidewatch::ids::Did;
use tidewatch::workflows::Catalog;

use super::Deal;
use crate::admission::table::Row;
use crate::judging::bench::{Bench, Rules, exhaust};
use crate::support::keeper::Chain;

/// What the judge makes of a chain.
pub(in crate::admission) struct Court {
    bench: Bench,
}

impl Court {
    /// Follows a chain for a publisher who lists these assets for 10 each, and may name who is paid.
    pub(super) async fn open(
        chain: Arc<Chain>,
        listed: &[Did],
        payee: Option<Address>,
        rules: Rules,
    ) -> Self {
        let bench = Bench::on(chain, rules).await;
        let assets = listed
            .iter()
            .map(|did| format!("  - {{did: \"{did}\", minimumPrice: 10}}\n"));
        let payees = payee.map(|payee| format!("policy: {{payees: [\"{payee}\"]}}\n"));
        let text = format!(
            "{}assets:\n{}",
            payees.unwrap_or_default(),
            assets.collect::<String>()
        );
        let catalog = Catalog::parse(text.as_bytes()).unwrap();
        bench.catalog.send_replace(Arc::new(catalog));
        Self { bench }
    }

    /// Follows and judges all there is.
    pub(in crate::admission) async fn judge(&mut self) {
        self.bench.follow().await;
        exhaust(&mut self.bench.judge()).await;
    }

    /// Compares the verdicts on the deals with what their rows say.
    pub(in crate::admission) async fn expect(&self, rows: &[&Row], deals: &[Deal]) {
        let mut wrong = Vec::new();
        for (row, deal) in rows.iter().zip(deals) {
            let found = self.verdicts(deal).await;
            if found != row.verdicts {
                let explanation = self.explanation(deal).await;
                let expected = row.verdicts;
                wrong.push(format!(
                    "{}: {found:?} instead of {expected:?}\n{explanation}",
                    row.name
                ));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    /// Judges every agreement again on what is known.
    pub(in crate::admission) async fn judge_everything_again(&self) {
        let queued = "INSERT INTO ledger.judge_queue (deployment_id, agreement_id, cause)
             SELECT DISTINCT deployment_id, agreement_id, 'asked again' FROM ledger.jobs
             ON CONFLICT (deployment_id, agreement_id) DO UPDATE SET due_at = now(), due_block = NULL";
        sqlx::query(queued).execute(&self.bench.pool).await.unwrap();
        exhaust(&mut self.bench.judge()).await;
    }

    /// The last verdict on each job of a deal's agreements, and that the job stands where the verdict puts it.
    async fn verdicts(&self, deal: &Deal) -> Vec<String> {
        let mut all = Vec::new();
        for agreement in [deal.purchase.agreement, deal.other.agreement] {
            let found: Vec<(String, String)> = sqlx::query_as(
                "SELECT DISTINCT ON (j.id) concat_ws(' ', v.verdict, v.reason), concat_ws(' ', s.phase, s.outcome, s.reason)
                 FROM ledger.jobs j JOIN ledger.verdicts v ON v.job_id = j.id JOIN ledger.job_state s ON s.job_id = j.id
                 WHERE j.agreement_id = $1 ORDER BY j.id, v.number DESC",
            )
            .bind(agreement.0.as_slice())
            .fetch_all(&self.bench.pool)
            .await
            .unwrap();
            for (verdict, status) in found {
                let expected = match verdict.as_str() {
                    "admitted" => "awaiting_document".to_owned(),
                    "awaiting_payment" | "undecided" => verdict.clone(),
                    _ => format!("finished {verdict}"),
                };
                assert_eq!(status, expected);
                all.push(verdict);
            }
        }
        all
    }

    /// Rule by rule, for whoever has to find out why a row does not hold.
    async fn explanation(&self, deal: &Deal) -> String {
        let rules: Vec<String> = sqlx::query_scalar(
            "SELECT jsonb_pretty(v.rules) FROM ledger.verdicts v JOIN ledger.jobs j ON j.id = v.job_id
             WHERE j.agreement_id IN ($1, $2) ORDER BY j.id, v.number",
        )
        .bind(deal.purchase.agreement.0.as_slice())
        .bind(deal.other.agreement.0.as_slice())
        .fetch_all(&self.bench.pool)
        .await
        .unwrap();
        rules.join("\n")
    }

    /// Every verdict that was ever reached, and every move of a job.
    pub(in crate::admission) async fn rows(&self) -> Vec<String> {
        sqlx::query_scalar(
            "SELECT concat_ws(' ', j.name, v.number, v.verdict, v.reason, v.rules) FROM ledger.verdicts v
             JOIN ledger.jobs j ON j.id = v.job_id
             UNION ALL SELECT concat_ws(' ', job_id, number, phase, outcome, reason) FROM ledger.transitions
             ORDER BY 1",
        )
        .fetch_all(&self.bench.pool)
        .await
        .unwrap()
    }
}
