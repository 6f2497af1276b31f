//! What logs are about, by the hundred: copied in at once where nothing of it is there, else row by row.

use std::ops::Range;

use alloy::primitives::B256;
use tidewatch::ids::{AgreementId, DeploymentId};
use tidewatch::keeper::Subject;
use tidewatch::ledger::{self, subjects};

use crate::support::database::Database;

fn about(logs: Range<i64>) -> Vec<(i64, Subject)> {
    let agreement = |log: i64| AgreementId(B256::left_padding_from(&log.to_be_bytes()));
    logs.map(|log| (log, Subject::Agreement(agreement(log))))
        .collect()
}

#[tokio::test]
async fn a_batch_that_was_taken_in_before_a_crash_is_taken_in_again_without_a_row_too_many() {
    let database = Database::create().await;
    for (batch, rows) in [(0..200, 200), (100..300, 300), (0..300, 300)] {
        let mut transaction = database.ledger.begin().await.unwrap();
        subjects::record(&mut transaction, DeploymentId(1), &about(batch))
            .await
            .unwrap();
        ledger::commit(transaction).await.unwrap();
        let found: i64 = sqlx::query_scalar("SELECT count(*) FROM ledger.log_subjects")
            .fetch_one(&database.pool)
            .await
            .unwrap();
        assert_eq!(found, rows);
    }
}
