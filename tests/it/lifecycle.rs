//! Starting and ending the program: whatever does not fit is told in one sentence, with the exit code that scripts rely on.

use std::process::Command;
use std::time::Duration;

use crate::support::anvil::Node;
use crate::support::database::Database;
use crate::support::eventually;
use crate::support::service::{Service, TIDEWATCH};
use crate::support::world::World;

const PATIENCE: Duration = Duration::from_secs(120);

/// Starts a service that must refuse, and answers its exit code and its last line.
async fn refusal(world: &World, name: &str) -> (i32, String) {
    let mut service = Service::spawn(world.variables(), world.directory(), name);
    let code = service.wait().await;
    let log = service.log();
    let sentence = log
        .lines()
        .rev()
        .find(|line| line.starts_with("tidewatch: "))
        .unwrap_or_default();
    (code, sentence.to_owned())
}

/// Metrics are read by machines that know nothing of this program: the names below are a promise.
#[tokio::test(flavor = "multi_thread")]
async fn metrics_tell_of_the_ledger_and_of_the_workers() {
    let world = World::start().await;
    let service = Service::start(world.variables(), world.directory(), "measured").await;
    let metrics = service.told("metrics can be read").unwrap();
    let read = async || {
        let answer = reqwest::get(format!("http://{metrics}/metrics"))
            .await
            .ok()?;
        let text = answer.text().await.ok()?;
        let recorded = value(&text, "tidewatch_block_number{of=\"recorded\"}")?;
        (recorded > 0.0).then_some(text)
    };
    let text = eventually("metrics tell of recorded blocks", PATIENCE, read).await;
    for (series, expected) in [
        ("tidewatch_ledger_readable", 1.0),
        ("tidewatch_halted", 0.0),
        ("tidewatch_repairs_total", 0.0),
        ("tidewatch_disagreements_total", 0.0),
        ("tidewatch_reorganisations_total{depth=\"1\"}", 0.0),
        ("tidewatch_open_jobs{phase=\"queued\"}", 0.0),
        (
            "tidewatch_ticks_total{worker=\"judge\",outcome=\"ended\"}",
            0.0,
        ),
    ] {
        assert_eq!(value(&text, series), Some(expected), "{series} in {text}");
    }
    let node = &world.chain.node;
    let (host, port) = (node.url().host_str().unwrap(), node.url().port().unwrap());
    let calls = format!("tidewatch_provider_calls_total{{provider=\"{host}:{port}\"}}");
    assert!(value(&text, &calls).unwrap() > 0.0, "{text}");
    let ticks = "tidewatch_tick_seconds_count{worker=\"follower\"}";
    assert!(value(&text, ticks).unwrap() > 0.0, "{text}");
    let route = "tidewatch_http_request_seconds_count{route=\"/readyz\",status=\"200\"}";
    assert!(value(&text, route).unwrap() > 0.0, "{text}");
}

/// The value of a series in Prometheus' text format.
fn value(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(series))?;
    line.trim().parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_refused_with_one_sentence() {
    let mut world = World::start().await;
    let setting = |world: &World, name: &str| {
        world
            .variables()
            .iter()
            .find(|(known, _)| known == name)
            .unwrap()
            .1
            .clone()
    };

    let database = setting(&world, "DATABASE_URL");
    world.set("DATABASE_URL", "postgres://nobody@127.0.0.1:9/none");
    let (code, sentence) = refusal(&world, "no-database").await;
    assert_eq!(code, 1);
    assert!(sentence.contains("connect to the database"), "{sentence}");

    let empty = Database::create_empty().await;
    world.set("DATABASE_URL", &empty.url);
    let (code, sentence) = refusal(&world, "unmigrated").await;
    assert_eq!(code, 1);
    assert!(sentence.contains("tidewatch migrate"), "{sentence}");
    world.set("DATABASE_URL", &database);

    let keeper = std::fs::read_to_string(setting(&world, "TIDEWATCH_KEEPER")).unwrap();
    let chain_id = world.chain.deployment.chain_id;
    write(
        &world,
        "other.yaml",
        &keeper.replace(&format!("chainId: {chain_id}"), "chainId: 1"),
    );
    let whole = setting(&world, "TIDEWATCH_KEEPER");
    set_path(&mut world, "TIDEWATCH_KEEPER", "other.yaml");
    let (code, sentence) = refusal(&world, "other-chain").await;
    assert_eq!(code, 1);
    assert!(sentence.contains("is on chain"), "{sentence}");

    let escrow = world.chain.deployment.contracts.escrow_reward.to_string();
    let nobody = "0x00000000000000000000000000000000000000Aa";
    write(
        &world,
        "no-code.yaml",
        &replace_ignoring_case(&keeper, &escrow, nobody),
    );
    set_path(&mut world, "TIDEWATCH_KEEPER", "no-code.yaml");
    let (code, sentence) = refusal(&world, "no-code").await;
    assert_eq!(code, 1);
    assert!(sentence.contains("no code"), "{sentence}");
    world.set("TIDEWATCH_KEEPER", &whole);

    write(
        &world,
        "broken.yaml",
        "schemaVersion: 1\npolicy: {}\nassetss: []\n",
    );
    let catalog = setting(&world, "TIDEWATCH_CATALOG");
    set_path(&mut world, "TIDEWATCH_CATALOG", "broken.yaml");
    let (code, sentence) = refusal(&world, "catalog").await;
    assert_eq!(code, 1);
    assert!(
        sentence.contains("assetss") && sentence.contains("assets"),
        "{sentence}"
    );
    world.set("TIDEWATCH_CATALOG", &catalog);

    let kubeconfig = std::fs::read_to_string(setting(&world, "KUBECONFIG")).unwrap();
    write(&world, "nowhere.conf", &kubeconfig.replace(":6443", ":9"));
    set_path(&mut world, "KUBECONFIG", "nowhere.conf");
    let (code, sentence) = refusal(&world, "no-cluster").await;
    assert_eq!(code, 1);
    assert!(sentence.contains("cluster"), "{sentence}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_restarted_under_the_same_id_is_refused() {
    let mut world = World::start().await;
    let mut service = world.service("first").await;
    assert_eq!(
        service.terminate().await,
        0,
        "SIGTERM ends the service well: {}",
        service.log()
    );
    // the same contracts at the same addresses, since deployers and nonces are the same; another genesis time
    let restarted = Node::start().await;
    let deployment = crate::support::keeper::deployed_anew(&restarted).await;
    assert_eq!(deployment.contracts, world.chain.deployment.contracts);
    world.set("TIDEWATCH_RPC_URLS", restarted.url().as_str());
    let (code, sentence) = refusal(&world, "restarted").await;
    assert_eq!(code, 1);
    assert!(
        sentence.contains("block 0") && sentence.contains("restarted"),
        "{sentence}"
    );
}

#[test]
fn a_configuration_with_faults_ends_with_2_and_names_each() {
    let output = Command::new(TIDEWATCH)
        .arg("run")
        .env_clear()
        .env("TIDEWATCH_CATALOGUE", "x")
        .env("TIDEWATCH_ACT_AT", "soon")
        .current_dir(std::env::temp_dir())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    for fault in [
        "DATABASE_URL is required",
        "TIDEWATCH_CATALOGUE is not",
        "TIDEWATCH_ACT_AT is",
    ] {
        assert!(told.contains(fault), "{fault} is missing in: {told}");
    }
}

fn write(world: &World, name: &str, text: &str) {
    std::fs::write(world.directory().join(name), text).unwrap();
}

fn set_path(world: &mut World, variable: &str, name: &str) {
    let path = world.directory().join(name).to_str().unwrap().to_owned();
    world.set(variable, &path);
}

fn replace_ignoring_case(text: &str, from: &str, to: &str) -> String {
    let lower = text.to_lowercase();
    let at = lower.find(&from.to_lowercase()).unwrap();
    format!("{}{to}{}", &text[..at], &text[at + from.len()..])
}
