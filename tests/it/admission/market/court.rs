use super::Deal;
use crate::judging::bench::{Bench, Rules, exhaust};
use crate::support::keeper::Chain;

/// What the judge makes of a chain.
pub(in crate::admission) struct Court {
    bench: Bench,
}

impl Court {
    /// Follows a chain from a block on, to act from another on, for a publisher who lists the deals' assets for 10 each.
    pub(super) async fn open(
        chain: Chain,
        deals: &[Deal],
        (start_block, act_from): (u64, u64),
    ) -> Self {
        let rules = Rules {
            start_block: Some(start_block),
            act_from,
            ..Rules::default()
        };
        let bench = Bench::on(chain, rules).await;
        let listed = deals.iter().filter(|deal| deal.listed);
        let assets: Vec<_> = listed.map(|deal| (deal.purchase.did, "")).collect();
        bench.offer(&assets);
        Self { bench }
    }

    /// Follows and judges all there is.
    pub(in crate::admission) async fn judge(&mut self) {
        self.bench.follow().await;
        exhaust(&mut self.bench.judge()).await;
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
    pub(in crate::admission) async fn verdicts(&self, deal: &Deal) -> Vec<String> {
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
    pub(in crate::admission) async fn explanation(&self, deal: &Deal) -> String {
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
