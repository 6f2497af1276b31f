//! Who may read what of a job: the two tables of this promise, on the real contracts, and their product asked route by route.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy::primitives::Address;
use futures::StreamExt;
use hmac::{Hmac, Mac};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use tidewatch::api::Settings;
use tidewatch::clock::{Clock, SystemClock};
use tidewatch::ids::{Did, JobName};
use tidewatch::keeper::{Call, purchase};

use super::disk::Disk;
use super::node::Node;
use super::people::Person;
use super::service::{Endpoint, TOKEN};
use crate::judging::bench::{Bench, DIGEST, document, inline};
use crate::support::keeper::Chain;

/// Who asks, and whether the agreement has a part in it for them. Everybody but the first, the operator and the last three has signed in.
const WHO: [(&str, Standing); 17] = [
    ("nobody", Standing::Unauthenticated),
    ("a stranger", Standing::Stranger),
    ("the consumer", Standing::Party),
    ("the asset's owner at the event's block", Standing::Party),
    ("whoever bought the asset since", Standing::Stranger),
    ("a provider at the event's block", Standing::Party),
    ("a provider who was removed before", Standing::Stranger),
    ("a provider who was added since", Standing::Stranger),
    (
        "an account to whom the consumer granted it",
        Standing::Party,
    ),
    ("one from whom it was taken back", Standing::Stranger),
    (
        "one to whom the asset's owner granted it",
        Standing::Stranger,
    ),
    ("a contract wallet to which it was granted", Standing::Party),
    (
        "a wallet to which it was granted, not deployed yet",
        Standing::Party,
    ),
    ("the operator", Standing::Operator),
    (
        "the consumer, whose sign-in is over",
        Standing::InvalidToken,
    ),
    (
        "the consumer, signed in on another chain",
        Standing::InvalidToken,
    ),
    (
        "the consumer, signed in at another site",
        Standing::InvalidToken,
    ),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Unauthenticated,
    InvalidToken,
    Stranger,
    Party,
    Operator,
}

/// What is asked for, by the end of its path, in the order of the columns below.
const ROUTES: [&str; 6] = [
    "/logs",
    "/logs?stage=algorithm",
    "/logs?stage=filter",
    "/logs?stage=publish",
    "/results",
    "/results/table.csv",
];

/// An answer: a body that begins so, or the code of a refusal.
type Answer = &'static str;

const PRINTED: Answer = "printed by the algorithm";
const FILTERED: Answer = "left by the filter";
const MANIFEST: Answer = "{";
const TABLE: Answer = "a,b";
const NOT_RELEASED: Answer = "not_released";

/// What a party gets of a job under a release rule, route by route, and whether it learns the exit code.
const RULES: [(&str, [Answer; 6], bool); 6] = [
    (
        "results: raw, logs: raw",
        [
            PRINTED,
            PRINTED,
            NOT_RELEASED,
            NOT_RELEASED,
            MANIFEST,
            TABLE,
        ],
        true,
    ),
    (
        "results: filtered, logs: filtered",
        [
            FILTERED,
            NOT_RELEASED,
            FILTERED,
            NOT_RELEASED,
            MANIFEST,
            TABLE,
        ],
        false,
    ),
    ("results: none, logs: none", [NOT_RELEASED; 6], false),
    // Nobody vetted the algorithm, and the rule says nothing about logs.
    (
        "results: raw",
        [
            NOT_RELEASED,
            NOT_RELEASED,
            NOT_RELEASED,
            NOT_RELEASED,
            MANIFEST,
            TABLE,
        ],
        false,
    ),
    (
        "results: raw, logs: raw, review: true",
        [NOT_RELEASED; 6],
        false,
    ),
    (
        RELEASED,
        [
            PRINTED,
            PRINTED,
            NOT_RELEASED,
            NOT_RELEASED,
            MANIFEST,
            TABLE,
        ],
        true,
    ),
];

/// The same after an operator's release.
const RELEASED: &str = "results: raw, logs: raw, review: true #released";

/// What the operator gets, whatever the rule.
const OPERATOR: [Answer; 6] = [PRINTED, PRINTED, FILTERED, "log_not_found", MANIFEST, TABLE];

struct World {
    bench: Bench,
    api: Endpoint,
    /// Token of each who has one.
    tokens: BTreeMap<&'static str, String>,
    /// Job under each rule.
    jobs: BTreeMap<&'static str, JobName>,
    _key: tempfile::NamedTempFile,
}

const KEY: &str = "0123456789abcdef0123456789abcdef";

/// Everybody who has an account of their own.
struct People {
    stranger: Person,
    consumer: Person,
    owner: Person,
    buyer: Person,
    provider: Person,
    removed: Person,
    added: Person,
    granted: Person,
    revoked: Person,
    owners: Person,
    wallet: Person,
    future: Person,
}

impl People {
    async fn on(chain: &Chain) -> Self {
        Self {
            stranger: Person::new("stranger"),
            consumer: Person::of_anvil(2),
            owner: Person::of_anvil(1),
            buyer: Person::new("buyer"),
            provider: Person::new("provider"),
            removed: Person::new("removed"),
            added: Person::new("added"),
            granted: Person::new("granted"),
            revoked: Person::new("revoked"),
            owners: Person::new("the owner's"),
            wallet: Person::with_wallet("wallet", chain).await,
            future: Person::with_future_wallet("future"),
        }
    }

    fn named(&self) -> [(&'static str, &Person); 12] {
        let people = [
            &self.stranger,
            &self.consumer,
            &self.owner,
            &self.buyer,
            &self.provider,
            &self.removed,
            &self.added,
            &self.granted,
            &self.revoked,
            &self.owners,
            &self.wallet,
            &self.future,
        ];
        std::array::from_fn(|place| (WHO[place + 1].0, people[place]))
    }
}

impl World {
    async fn start() -> Self {
        let mut bench = Bench::start().await;
        let chain = Arc::clone(&bench.chain);
        let people = People::on(&chain).await;
        let mut assets = Vec::new();
        for (rule, ..) in RULES {
            assets.push((chain.asset().await, offered(rule)));
        }
        let offered: Vec<_> = assets
            .iter()
            .map(|(did, more)| (*did, more.as_str()))
            .collect();
        bench.offer(&offered);
        let disk = Arc::new(Disk::new());
        let mut jobs = BTreeMap::new();
        for ((did, _), (rule, ..)) in assets.iter().zip(RULES) {
            let agreement = sell(&chain, &people, *did).await;
            bench.settle().await;
            let job = bench.job(agreement).await;
            assert_eq!(job.status, "queued", "{rule}");
            jobs.insert(rule, finish(&bench, &disk, job.id, rule).await);
        }
        let key = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(key.path(), KEY).unwrap();
        let settings = Settings {
            calls: Some(Arc::new(Node::of(&chain))),
            files: Some(disk),
            session_key_file: Some(key.path().to_owned()),
            ..Settings::default()
        };
        let api = Endpoint::beside(&bench, settings).await;
        let mut tokens = BTreeMap::from([("the operator", TOKEN.to_owned())]);
        for (name, person) in people.named() {
            tokens.insert(name, person.sign_in(&api).await);
        }
        let (consumer, id) = (people.consumer.address(), chain.deployment.chain_id);
        let now = SystemClock.now().timestamp();
        let forged = |origin: &str, chain, until| token(consumer, chain, until, origin);
        tokens.insert(WHO[14].0, forged(api.origin(), id, now - 1));
        tokens.insert(WHO[15].0, forged(api.origin(), id + 1, now + 600));
        tokens.insert(WHO[16].0, forged("https://other.example", id, now + 600));
        // The same token with nothing wrong is one of ours, so these are refused for what is wrong with them.
        tokens.insert("(control)", forged(api.origin(), id, now + 600));
        Self {
            bench,
            api,
            tokens,
            jobs,
            _key: key,
        }
    }

    async fn answer(&self, who: &str, path: &str) -> (u16, String) {
        let token = self.tokens.get(who).map(String::as_str);
        let response = self.api.request(Method::GET, path, token).await;
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        if status == 200 {
            return (status, text);
        }
        let problem: Value = serde_json::from_str(&text).unwrap();
        (status, problem["code"].as_str().unwrap().to_owned())
    }
}

/// An access token as this API makes them under [`KEY`].
fn token(account: Address, chain: u64, until: i64, origin: &str) -> String {
    use base64::Engine;
    use sha2::Digest;
    let said = [
        account.as_slice(),
        &chain.to_be_bytes(),
        &until.to_be_bytes(),
    ]
    .concat();
    let mut mac = Hmac::<Sha256>::new_from_slice(&Sha256::digest(KEY)).unwrap();
    mac.update(b"tidewatch access token 1\0");
    mac.update(&said);
    mac.update(origin.as_bytes());
    let bytes = [said, mac.finalize().into_bytes().to_vec()].concat();
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// Further keys of an asset that is sold under a release rule.
fn offered(rule: &str) -> String {
    let rule = rule.split(" #").next().unwrap();
    let filter = format!(
        ", filter: {{image: registry.test/filter, checksum: '{DIGEST}', entrypoint: /bin/filter}}"
    );
    let filter = if rule.contains("filtered") {
        filter
    } else {
        String::new()
    };
    format!("privacy: {{allowRawAlgorithm: true}}, release: {{{rule}}}{filter}")
}

/// Everything that happens around one purchase, in the order that the table tells of.
async fn sell(chain: &Chain, people: &People, did: Did) -> tidewatch::ids::AgreementId {
    let contracts = &chain.deployment.contracts;
    let order = chain.order(did);
    let own = Did(order.agreement.0);
    let send = async |by: &tidewatch::keeper::Account, call: Call| {
        by.send(call).await.unwrap();
    };
    let (owner, consumer) = (&chain.provider, &chain.consumer);
    let add = |person: &Person| purchase::add_did_provider(contracts, did, person.address());
    send(owner, add(&people.provider)).await;
    send(owner, add(&people.removed)).await;
    send(
        owner,
        purchase::remove_did_provider(contracts, did, people.removed.address()),
    )
    .await;
    chain
        .document(&order, &inline(&document("python $ALGO")))
        .await;
    chain.buy(&order).await;
    send(owner, add(&people.added)).await;
    send(
        owner,
        purchase::grant_permission(contracts, did, people.owners.address()),
    )
    .await;
    send(
        owner,
        purchase::transfer_did(contracts, did, people.buyer.address()),
    )
    .await;
    for person in [
        &people.granted,
        &people.revoked,
        &people.wallet,
        &people.future,
    ] {
        send(
            consumer,
            purchase::grant_permission(contracts, own, person.address()),
        )
        .await;
    }
    send(
        consumer,
        purchase::revoke_permission(contracts, own, people.revoked.address()),
    )
    .await;
    order.agreement
}

/// What the workers leave of a job that ran and published.
async fn finish(bench: &Bench, disk: &Disk, job: i64, rule: &str) -> JobName {
    let name: String = sqlx::query_scalar("SELECT name FROM ledger.jobs WHERE id = $1")
        .bind(job)
        .fetch_one(&bench.pool)
        .await
        .unwrap();
    let name: JobName = name.parse().unwrap();
    let stages = json!([{"stage": "algorithm", "runner": "uid", "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:01Z", "exitCode": 7}]);
    let phase = match rule {
        RELEASED => "finished",
        rule if rule.contains("review") => "awaiting_review",
        _ => "finished",
    };
    let statements = [
        format!("INSERT INTO ledger.job_attempts (job_id, attempt, finished_at, stages) VALUES ({job}, 1, now(), '{stages}')"),
        format!("INSERT INTO ledger.job_logs (job_id, attempt, stage, completeness, bytes) VALUES ({job}, 1, 'algorithm', 'complete', 24), ({job}, 1, 'filter', 'complete', 18)"),
        format!("INSERT INTO ledger.job_log_chunks (job_id, attempt, stage, start, body) VALUES ({job}, 1, 'algorithm', 0, '{PRINTED}'), ({job}, 1, 'filter', 0, '{FILTERED}')"),
        format!("UPDATE ledger.job_state SET phase = '{phase}', attempt = 1, started_at = now(),
                 outcome = CASE '{phase}' WHEN 'finished' THEN 'succeeded' END, finished_at = CASE '{phase}' WHEN 'finished' THEN now() END
                 WHERE job_id = {job}"),
    ];
    for statement in statements {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
            .execute(&bench.pool)
            .await
            .unwrap();
    }
    if rule == RELEASED {
        sqlx::query("INSERT INTO ledger.operator_actions (action, subject, reason) VALUES ('jobs release', $1, 'looked at')")
            .bind(name.as_str()).execute(&bench.pool).await.unwrap();
    }
    let (key, hash) = disk.publish(&name, &[("table.csv", b"a,b\n1,2\n")]).await;
    sqlx::query("INSERT INTO ledger.results (job_id, attempt, manifest_key, manifest_sha256, files, bytes) VALUES ($1, 1, $2, $3, 1, 8)")
        .bind(job).bind(key).bind(hash).execute(&bench.pool).await.unwrap();
    name
}

/// What somebody is to get.
fn expected(standing: Standing, rule: &[Answer; 6], route: usize) -> (u16, Answer) {
    let answer = match standing {
        Standing::Unauthenticated => return (401, "unauthenticated"),
        Standing::InvalidToken => return (401, "invalid_token"),
        Standing::Stranger => return (403, "not_a_party"),
        Standing::Party => rule[route],
        Standing::Operator => OPERATOR[route],
    };
    let status = match answer {
        NOT_RELEASED => 403,
        "log_not_found" => 404,
        _ => 200,
    };
    (status, answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_gets_of_every_job_what_the_tables_say() {
    let world = World::start().await;
    let mut asked = Vec::new();
    for (rule, answers, shows_exit_code) in &RULES {
        for (who, standing) in WHO {
            for (place, route) in ROUTES.iter().enumerate() {
                let path = format!("/v1/jobs/{}{route}", world.jobs[rule]);
                asked.push((who, *rule, path, expected(standing, answers, place)));
            }
            // What everybody may read tells parties more.
            let path = format!("/v1/jobs/{}", world.jobs[rule]);
            let shown = match standing {
                Standing::InvalidToken => (401, "invalid_token"),
                Standing::Operator => (200, "exitCode"),
                Standing::Party if *shows_exit_code => (200, "exitCode"),
                _ => (200, ""),
            };
            asked.push((who, *rule, path, shown));
        }
    }
    let world = &world;
    let wrong: Vec<String> = futures::stream::iter(asked)
        .map(|(who, rule, path, (status, text))| async move {
            let (got, said) = world.answer(who, &path).await;
            let is_right = match (text, status) {
                ("exitCode", 200) => said.contains("\"exitCode\":7"),
                ("", 200) => !said.contains("exitCode"),
                (text, _) => said.starts_with(text),
            };
            (got != status || !is_right)
                .then(|| format!("{who}, {{{rule}}}, {path}: {status} {text:?} was expected, and it was {got} {said:?}"))
        })
        .buffer_unordered(8)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let (status, _) = world
        .answer(
            "(control)",
            &format!("/v1/jobs/{}/results", world.jobs[RULES[0].0]),
        )
        .await;
    assert_eq!(status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_granted_is_gone_once_it_is_revoked_and_all_of_it_while_the_event_is_not_on_the_chain()
 {
    let mut world = World::start().await;
    let rule = RULES[0].0;
    let path = format!("/v1/jobs/{}/logs", world.jobs[rule]);
    let (granted, consumer) = (WHO[8].0, WHO[2].0);
    assert_eq!(world.answer(granted, &path).await.0, 200);
    let chain = Arc::clone(&world.bench.chain);
    let agreement: Vec<u8> =
        sqlx::query_scalar("SELECT agreement_id FROM ledger.jobs WHERE name = $1")
            .bind(world.jobs[rule].as_str())
            .fetch_one(&world.bench.pool)
            .await
            .unwrap();
    let own = Did(agreement.as_slice().try_into().unwrap());
    let grantee = Person::new("granted").address();
    let revoke = purchase::revoke_permission(&chain.deployment.contracts, own, grantee);
    chain.consumer.send(revoke).await.unwrap();
    world.bench.settle().await;
    assert_eq!(
        world.answer(granted, &path).await,
        (403, "not_a_party".to_owned())
    );
    assert_eq!(world.answer(consumer, &path).await.0, 200);

    let orphaned = "UPDATE ledger.job_state SET block_canonical = false";
    sqlx::query(orphaned)
        .execute(&world.bench.pool)
        .await
        .unwrap();
    assert_eq!(
        world.answer(consumer, &path).await,
        (403, "not_released".to_owned())
    );
    assert_eq!(world.answer("the operator", &path).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_no_part_in_a_job_does_not_learn_whether_it_exists() {
    let world = World::start().await;
    let existing = world.jobs[RULES[0].0].as_str().to_owned();
    let missing = [
        format!("job-{}", "0".repeat(32)),
        "job-0".to_owned(),
        "%20".to_owned(),
    ];
    for who in ["nobody", "a stranger", WHO[14].0] {
        for route in ROUTES {
            let ask = async |id: &str| {
                let request = world
                    .api
                    .client
                    .get(format!("{}/v1/jobs/{id}{route}", world.api.origin()));
                let request = match world.tokens.get(who) {
                    Some(token) => request.bearer_auth(token),
                    None => request,
                };
                let response = request.header("x-request-id", "same").send().await.unwrap();
                let status = response.status();
                let mut headers = response.headers().clone();
                headers.remove("date");
                (status, headers, response.text().await.unwrap())
            };
            let there = ask(&existing).await;
            for id in &missing {
                assert_eq!(ask(id).await, there, "{who}: {route}");
            }
        }
    }
    // Nor by the time that it takes: whatever is asked of the ledger, the answer comes at the next beat of 100 ms.
    let times = async |id: &str| {
        let mut times = Vec::new();
        for _ in 0..11 {
            let began = Instant::now();
            world
                .answer("a stranger", &format!("/v1/jobs/{id}/results"))
                .await;
            times.push(began.elapsed());
        }
        // The shortest: how long an answer can take on a busy machine says nothing.
        times.into_iter().min().unwrap()
    };
    let (there, not_there) = (times(&existing).await, times(&missing[0]).await);
    assert!(there >= Duration::from_millis(100), "{there:?}");
    assert!(
        there.abs_diff(not_there) < Duration::from_millis(25),
        "{there:?} and {not_there:?}"
    );
}
