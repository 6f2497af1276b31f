//! Logs of two hundred megabytes from the real cluster into the ledger, however the algorithm ended, with the collector down
//! until everything is over: by then no pod and no container log is left that would hold them.

use alloy::primitives::B256;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use kube::Api;
use kube::ResourceExt;
use kube::api::{EvictParams, ListParams};
use sha2::{Digest, Sha256};
use tidewatch::cluster::KubernetesEngine;
use tidewatch::jobs::Phase;
use tidewatch::scheduler::{Collector, Dispatcher, DispatcherSettings, Observer};
use tidewatch::worker::Worker;
use tidewatch::workflows::JobSpec;

use super::bench::{Bench, Job, spec};
use crate::support::cluster::Namespace;
use crate::support::required;

/// Bytes that each algorithm prints.
const PRINTED: usize = 200_000_000;

/// Where the log of one of them is cut.
const LIMIT: usize = 50_000_000;

/// What they print, again and again.
const LINE: &[u8] = b"all work and no play makes the log of a job a long log, line after line after line after line\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_200_megabytes_is_kept_whole_however_its_algorithm_ended() {
    let (bench, namespace) = (Bench::new().await, Namespace::create().await);
    let _operator = namespace.operator().await;
    let finished = bench.queue_with(1, printing("", 60, 2 * PRINTED)).await;
    let timed_out = bench
        .queue_with(2, printing("; sleep 600", 40, LIMIT))
        .await;
    let evicted = bench
        .queue_with(3, printing("; sleep 600", 600, 2 * PRINTED))
        .await;
    let deleted = bench
        .queue_with(4, printing("; sleep 600", 600, 2 * PRINTED))
        .await;
    dispatch(&bench, namespace.engine_as("dispatcher").await).await;

    until_printed(&namespace, &evicted).await;
    let pod = pod_of(&namespace, &evicted).await;
    let pods = namespace.api::<Pod>();
    pods.evict(&pod, &EvictParams::default()).await.unwrap();
    until_printed(&namespace, &deleted).await;
    let pod = pod_of(&namespace, &deleted).await;
    namespace.delete::<Pod>(&pod).await;

    let jobs = [&finished, &timed_out, &evicted, &deleted];
    let mut observer = Observer::new(
        bench.ledger.clone(),
        bench.deployment,
        namespace.engine_as("observer").await,
    );
    let ended = "SELECT count(*) FROM ledger.job_attempts WHERE finished_at IS NOT NULL";
    namespace
        .until("the end of all four", async || {
            observer.tick().await.unwrap();
            let ended: i64 = sqlx::query_scalar(ended)
                .fetch_one(&bench.pool)
                .await
                .unwrap();
            (ended == 4).then_some(())
        })
        .await;
    let engine = namespace.engine_as("collector").await;
    let mut collector = Collector::new(bench.ledger.clone(), bench.deployment, engine);
    namespace
        .until("the collection of all four", async || {
            collector.tick().await.unwrap();
            for job in jobs {
                let released = bench.column(job, "released").await;
                if released.as_deref() != Some("true") {
                    return None;
                }
            }
            Some(())
        })
        .await;

    for (job, end, bytes, completeness) in [
        (&finished, "finished succeeded", PRINTED, "complete"),
        (
            &timed_out,
            "finished timed_out time_exceeded",
            LIMIT,
            "truncated",
        ),
        (&evicted, "finished failed evicted", PRINTED, "complete"),
        (&deleted, "finished lost pod_missing", PRINTED, "complete"),
    ] {
        assert_eq!(bench.history(job).await.last().unwrap(), end);
        assert_eq!(bench.status(job).await.phase, Phase::Finished);
        let kept = kept(&bench, job).await;
        assert_eq!((kept.0, kept.1.as_str()), (bytes, completeness), "{end}");
        assert_eq!(kept.2, digest(bytes), "{end}");
    }
}

fn printing(then: &str, seconds: u32, log_bytes: usize) -> JobSpec {
    let image = required("TIDEWATCH_TEST_ALGORITHM_IMAGE");
    let (image, digest) = image.split_once('@').expect("an image with a digest");
    let line = std::str::from_utf8(LINE).unwrap().trim_end();
    let mut spec = spec();
    image.clone_into(&mut spec.algorithm.image);
    digest.clone_into(&mut spec.algorithm.digest);
    spec.algorithm.entrypoint = format!("yes '{line}' | head -c {PRINTED}{then}");
    spec.algorithm.code = None;
    // All four at once on a node of two cores.
    "400m".clone_into(&mut spec.resources.cpu);
    "64Mi".clone_into(&mut spec.resources.memory);
    "32Mi".clone_into(&mut spec.resources.disk);
    spec.resources.max_execution_seconds = seconds;
    spec.release.log_bytes = log_bytes as u64;
    spec
}

async fn dispatch(bench: &Bench, engine: KubernetesEngine) {
    let settings = DispatcherSettings::default();
    let mut dispatcher = Dispatcher::new(bench.ledger.clone(), bench.deployment, engine, settings);
    super::bench::tick_until(&mut dispatcher, async || {
        let started = "SELECT count(*) FROM ledger.job_state WHERE started_attempt = 1";
        let started: i64 = sqlx::query_scalar(started)
            .fetch_one(&bench.pool)
            .await
            .unwrap();
        (started == 4).then_some(())
    })
    .await;
}

/// Waits until the record on the job's volume, which lies on this machine, holds everything.
async fn until_printed(namespace: &Namespace, job: &Job) {
    let claims = namespace.api::<PersistentVolumeClaim>();
    let volumes: Api<PersistentVolume> = Api::all(namespace.client.clone());
    namespace
        .until("everything that is printed", async || {
            let claim = claims.get_opt(&format!("{}-1", job.name)).await.unwrap()?;
            let volume = volumes.get_opt(&claim.spec?.volume_name?).await.unwrap()?;
            let record = format!("{}/record/log", volume.spec?.local?.path);
            let length = std::fs::metadata(record).ok()?.len();
            (length == PRINTED as u64).then_some(())
        })
        .await;
}

async fn pod_of(namespace: &Namespace, job: &Job) -> String {
    let selector = format!("compute.tidewatch.dev/job={},component=algorithm", job.name);
    let pods = namespace.api::<Pod>();
    let found = pods.list(&ListParams::default().labels(&selector)).await;
    found.unwrap().items.remove(0).name_any()
}

/// Bytes, completeness and SHA-256 of the log in the ledger, the last over the bytes that are there.
async fn kept(bench: &Bench, job: &Job) -> (usize, String, B256) {
    let (bytes, completeness): (i64, String) =
        sqlx::query_as("SELECT bytes, completeness FROM ledger.job_logs WHERE job_id = $1")
            .bind(job.id.0)
            .fetch_one(&bench.pool)
            .await
            .unwrap();
    let digest: Vec<u8> = sqlx::query_scalar(
        "SELECT sha256(string_agg(body, ''::bytea ORDER BY start)) FROM ledger.job_log_chunks WHERE job_id = $1",
    )
    .bind(job.id.0)
    .fetch_one(&bench.pool)
    .await
    .unwrap();
    (
        usize::try_from(bytes).unwrap(),
        completeness,
        B256::from_slice(&digest),
    )
}

/// SHA-256 of the first bytes that are printed.
fn digest(bytes: usize) -> B256 {
    let mut digest = Sha256::new();
    let block = LINE.repeat(10_000);
    let mut left = bytes;
    while left > 0 {
        let piece = left.min(block.len());
        digest.update(&block[..piece]);
        left -= piece;
    }
    B256::from_slice(&digest.finalize())
}
