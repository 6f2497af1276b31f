use std::time::Duration;

use tidewatch::ledger::leases::{self, Lease};
use tidewatch::ledger::{self, Error};

use super::bench::{Bench, Job};

const LONG: Duration = Duration::from_secs(60);

async fn take(bench: &Bench, job: &Job) -> Option<Lease> {
    let mut transaction = bench.ledger.begin().await.unwrap();
    let taken = leases::take(&mut transaction, &[job.id.0], "tester", LONG)
        .await
        .unwrap();
    ledger::commit(transaction).await.unwrap();
    taken.into_iter().next()
}

fn is_conflict<T>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::Conflict { .. }))
}

#[tokio::test]
async fn a_lease_is_one_holders_until_it_runs_out_and_then_its_token_is_worth_nothing() {
    let bench = Bench::new().await;
    let job = bench.queue(1).await;
    let first = take(&bench, &job).await.unwrap();
    assert!(take(&bench, &job).await.is_none(), "held");

    bench.let_time_pass().await;
    let second = take(&bench, &job).await.unwrap();
    assert_ne!(first.token, second.token);
    assert_eq!(
        bench.column(&job, "lease_failures").await.unwrap(),
        "1",
        "a holder that died counts"
    );

    let mut connection = bench.ledger.acquire().await.unwrap();
    assert!(is_conflict(
        leases::renew(&mut connection, &first, LONG).await
    ));
    assert!(is_conflict(leases::fail(&mut connection, &first).await));
    assert!(is_conflict(leases::release(&mut connection, &first).await));
    assert!(is_conflict(
        leases::yield_for(&mut connection, &first, LONG).await
    ));
    let mut transaction = bench.ledger.begin().await.unwrap();
    assert!(is_conflict(leases::confirm(&mut transaction, &first).await));
    drop(transaction);

    let renewed = leases::renew(&mut connection, &second, LONG * 2)
        .await
        .unwrap();
    assert!(renewed.ends > second.ends);
    leases::release(&mut connection, &second).await.unwrap();
    assert_eq!(bench.column(&job, "lease_failures").await.unwrap(), "0");
    assert!(take(&bench, &job).await.is_some());
}

#[tokio::test]
async fn a_failed_step_waits_with_growing_delay() {
    let bench = Bench::new().await;
    let job = bench.queue(1).await;
    for expected in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
        let lease = take(&bench, &job).await.unwrap();
        let mut connection = bench.ledger.acquire().await.unwrap();
        // By the database's clock before and after, so that it does not matter how long the machine takes.
        let before = bench.column(&job, "clock_timestamp()").await.unwrap();
        leases::fail(&mut connection, &lease).await.unwrap();
        let within = format!(
            "not_before - make_interval(secs => {expected}) BETWEEN '{before}' AND clock_timestamp()"
        );
        assert_eq!(
            bench.column(&job, &within).await.as_deref(),
            Some("true"),
            "a delay of {expected} s"
        );
        bench.let_time_pass().await;
    }
}

#[tokio::test]
async fn what_is_append_only_cannot_be_changed_even_by_its_writer() {
    let bench = Bench::new().await;
    bench.queue(1).await;
    for statement in [
        "UPDATE ledger.transitions SET worker = 'somebody'",
        "DELETE FROM ledger.transitions",
        "TRUNCATE ledger.transitions",
        "UPDATE ledger.job_specs SET body = ''",
        "DELETE FROM ledger.jobs",
    ] {
        let refused = sqlx::query(statement)
            .execute(&bench.pool)
            .await
            .unwrap_err();
        let code = refused
            .as_database_error()
            .unwrap()
            .code()
            .unwrap()
            .into_owned();
        assert!(
            ["23001", "0A000"].contains(&code.as_str()),
            "{statement}: {refused}"
        );
    }
}

#[tokio::test]
async fn a_row_whose_parent_is_not_there_is_refused() {
    let bench = Bench::new().await;
    bench.queue(1).await;
    for statement in [
        "INSERT INTO ledger.job_state (job_id, deployment_id, phase, block_number, block_hash, log_id, block_canonical)
         SELECT -1, deployment_id, phase, block_number, block_hash, log_id, true FROM ledger.job_state",
        "UPDATE ledger.job_state SET log_id = -1",
        "INSERT INTO ledger.transitions (deployment_id, job_id, number, phase, attempt, at, previous_hash, hash, worker)
         SELECT deployment_id, -1, number, phase, attempt, at, previous_hash, hash, worker FROM ledger.transitions",
        "INSERT INTO ledger.verdicts (job_id, number, admitted, verdict, rules, judged_number, judged_hash)
         SELECT -1, 1, true, 'admitted', '[]', block_number, block_hash FROM ledger.job_state",
        "INSERT INTO ledger.verdicts (job_id, number, admitted, verdict, rules, policy_sha256, judged_number, judged_hash)
         SELECT job_id, 1, true, 'admitted', '[]', sha256('never used'), block_number, block_hash FROM ledger.job_state",
        "INSERT INTO ledger.job_evidence (job_id, role, log_id) SELECT -1, 'lock', log_id FROM ledger.job_state",
        "INSERT INTO ledger.job_evidence (job_id, role, log_id) SELECT job_id, 'lock', -1 FROM ledger.job_state",
        // Many neighbours at once, of which one alone is there.
        "INSERT INTO ledger.job_evidence (job_id, role, log_id)
         SELECT job_id, 'lock', log_id - place FROM ledger.job_state, generate_series(0, 19) AS place",
        "INSERT INTO ledger.transitions (deployment_id, job_id, number, phase, attempt, at, previous_hash, hash, worker)
         SELECT deployment_id, job_id + place, 9, phase, attempt, at, previous_hash, hash, worker
         FROM ledger.transitions, generate_series(0, 19) AS place WHERE number = 1",
    ] {
        let refused = sqlx::query(statement)
            .execute(&bench.pool)
            .await
            .unwrap_err();
        let code = refused.as_database_error().unwrap().code();
        assert_eq!(code.as_deref(), Some("23503"), "{statement}: {refused}");
    }
}
