//! Signing in, by keys: what is taken, and what is not.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta};
use reqwest::Method;
use serde_json::{Value, json};
use tidewatch::api::Settings;

use super::people::{Person, challenge, hand_in, post};
use super::service::{Endpoint, problem};
use crate::judging::bench::Bench;

/// What a refusal looks like.
fn refused(code: &str) -> (u16, String) {
    (401, code.to_owned())
}

fn minutes(challenge: &Value) -> i64 {
    let time = |text: &str| DateTime::parse_from_rfc3339(text).unwrap();
    let message = challenge["message"].as_str().unwrap();
    let line = |name: &str| {
        message
            .split(name)
            .nth(1)
            .unwrap()
            .split('\n')
            .next()
            .unwrap()
    };
    let expires = time(line("Expiration Time: "));
    assert_eq!(time(challenge["expiresAt"].as_str().unwrap()), expires);
    (expires - time(line("Issued At: "))).num_minutes()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenge_is_taken_only_as_it_was_given_and_signed_by_whom_it_names() {
    let mut bench = Bench::start().await;
    bench.settle().await;
    let api = Endpoint::beside(&bench, Settings::default()).await;
    let (alice, mallory) = (Person::new("alice"), Person::new("mallory"));
    let given = challenge(&api, &json!({"address": alice.address()})).await;
    assert_eq!(minutes(&given), 10);
    let message = given["message"].as_str().unwrap();
    let host = api.origin().strip_prefix("http://").unwrap();
    let account = alice.address().to_checksum(None);
    assert!(
        message.starts_with(&format!(
            "http://{host} wants you to sign in with your Ethereum account:\n{account}\n\n"
        )),
        "{message}"
    );
    let chain = bench.chain.deployment.chain_id;
    for line in [
        format!("\nURI: {}\n", api.origin()),
        format!("\nChain ID: {chain}\n"),
        "\nVersion: 1\n".to_owned(),
    ] {
        assert!(message.contains(&line), "{message}");
    }

    // Somebody else's signature; one of another message; none at all.
    let signature = alice.sign(message);
    for wrong in [
        mallory.sign(message),
        alice.sign("hello"),
        signature[..64].to_vec(),
        vec![],
    ] {
        let answer = problem(hand_in(&api, message, &wrong).await).await;
        // Without a node it is not known whether the account is a wallet that takes it.
        assert_eq!(answer, (503, "not_configured".to_owned()));
    }
    // Texts that differ by something, each signed as it is.
    let (ours, other) = (
        format!("Chain ID: {chain}"),
        mallory.address().to_checksum(None),
    );
    let cases = [
        (
            "Ethereum account",
            "Ethereum  account",
            refused("invalid_message"),
        ),
        (host, "evil.example", refused("wrong_domain")),
        (
            api.origin(),
            "https://evil.example",
            refused("wrong_domain"),
        ),
        ("Version: 1", "Version: 2", refused("invalid_message")),
        (ours.as_str(), "Chain ID: 1", refused("wrong_chain")),
        ("Nonce: ", "Nonce: 0", refused("unknown_challenge")),
        (
            "Sign in to read",
            "Sign in to lend",
            refused("unknown_challenge"),
        ),
        (
            account.as_str(),
            other.as_str(),
            refused("unknown_challenge"),
        ),
        (
            "\nExpiration Time: 2",
            "\nExpiration Time: 3",
            refused("unknown_challenge"),
        ),
    ];
    for (from, to, expected) in cases {
        let changed = message.replacen(from, to, 1);
        assert_ne!(changed, message, "{from}");
        for person in [&alice, &mallory] {
            let answer = hand_in(&api, &changed, &person.sign(&changed)).await;
            assert_eq!(problem(answer).await, expected, "{to}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenge_is_taken_once() {
    let mut bench = Bench::start().await;
    bench.settle().await;
    let api = Endpoint::beside(&bench, Settings::default()).await;
    let (alice, mallory) = (Person::new("alice"), Person::new("mallory"));
    let message = alice.challenge(&api).await;
    let wrong = hand_in(&api, &message, &mallory.sign(&message)).await;
    assert_eq!(wrong.status(), 503);
    let signature = alice.sign(&message);
    // The right one counts, once, though it was shown with wrong signatures before; of many at a time, one.
    let spent =
        futures::future::join_all((0..8).map(|_| hand_in(&api, &message, &signature))).await;
    let count = spent
        .iter()
        .filter(|response| response.status() == 200)
        .count();
    assert_eq!(count, 1);
    for response in spent
        .into_iter()
        .filter(|response| response.status() != 200)
    {
        assert_eq!(
            response.headers()["www-authenticate"],
            "Bearer realm=\"tidewatch\""
        );
        assert_eq!(problem(response).await, refused("challenge_spent"));
    }
    let next = alice.challenge(&api).await;
    assert_ne!(next, message);
    alice.sign_in(&api).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_to_sign_in_is_told_what_would_be() {
    let mut bench = Bench::start().await;
    bench.settle().await;
    let api = Endpoint::beside(&bench, Settings::default()).await;
    let alice = Person::new("alice");
    let message = alice.challenge(&api).await;
    let bodies = [
        ("/v1/sign-in/challenges", json!({})),
        ("/v1/sign-in/challenges", json!({"address": "alice"})),
        (
            "/v1/sign-in/challenges",
            json!({"address": alice.address(), "chain": 1}),
        ),
        ("/v1/sessions", json!({"message": message})),
        (
            "/v1/sessions",
            json!({"message": message, "signature": "hello"}),
        ),
        (
            "/v1/sessions",
            json!({"message": message, "signature": "0x123"}),
        ),
        (
            "/v1/sessions",
            json!({"message": message, "signature": format!("0x{}", "00".repeat(16_385))}),
        ),
    ];
    for (path, body) in bodies {
        let answer = problem(post(&api, path, &body).await).await;
        assert_eq!(answer, (400, "invalid_body".to_owned()), "{body}");
    }
    let asked = api.request(Method::GET, "/v1/sessions", None).await;
    assert_eq!(problem(asked).await, (405, "method_not_allowed".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_with_one_key_take_each_others_sign_ins_until_it_is_replaced() {
    let mut bench = Bench::start().await;
    bench.settle().await;
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("key");
    std::fs::write(&key, "0123456789abcdef0123456789abcdef").unwrap();
    let settings = || Settings {
        origin: Some("https://data.example".parse().unwrap()),
        session_key_file: Some(key.clone()),
        ..Settings::default()
    };
    let (one, two) = tokio::join!(
        Endpoint::beside(&bench, settings()),
        Endpoint::beside(&bench, settings())
    );
    let alice = Person::new("alice");
    let message = alice.challenge(&one).await;
    assert!(
        message.starts_with("data.example wants you to sign in"),
        "{message}"
    );
    let signature = alice.sign(&message);
    let session: Value = hand_in(&two, &message, &signature)
        .await
        .json()
        .await
        .unwrap();
    // What was spent at one is spent at the other.
    assert_eq!(
        problem(hand_in(&one, &message, &signature).await).await,
        refused("challenge_spent")
    );
    let token = session["accessToken"].as_str().unwrap();
    let status = async |api: &Endpoint, token: &str| {
        let read = api
            .request(Method::GET, "/v1/jobs/job-0/logs", Some(token))
            .await;
        problem(read).await
    };
    let nobody = (403, "not_a_party".to_owned());
    assert_eq!(status(&one, token).await, nobody);
    assert_eq!(status(&two, token).await, nobody);

    let pending = alice.challenge(&one).await;
    std::fs::write(&key, "another secret, at least as long as the first").unwrap();
    assert_eq!(status(&one, token).await, refused("invalid_token"));
    let answer = hand_in(&one, &pending, &alice.sign(&pending)).await;
    assert_eq!(problem(answer).await, refused("unknown_challenge"));
    assert_eq!(status(&one, &alice.sign_in(&one).await).await, nobody);

    // A key that is gone stops sign-ins, and says so.
    std::fs::write(&key, "short").unwrap();
    let asked = post(
        &one,
        "/v1/sign-in/challenges",
        &json!({"address": alice.address()}),
    )
    .await;
    assert_eq!(problem(asked).await, (503, "unavailable".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn spent_challenges_are_forgotten_once_they_are_over() {
    let mut bench = Bench::start().await;
    bench.settle().await;
    let api = Endpoint::beside(&bench, Settings::default()).await;
    let rows = async || -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM sign_in.spent_nonces")
            .fetch_one(&bench.pool)
            .await
            .unwrap()
    };
    Person::new("alice").sign_in(&api).await;
    assert_eq!(rows().await, 1);
    sqlx::query("UPDATE sign_in.spent_nonces SET expires_at = now() - interval '61 minutes'")
        .execute(&bench.pool)
        .await
        .unwrap();
    Person::new("bob").sign_in(&api).await;
    assert_eq!(rows().await, 1);
}

/// How long a challenge lives: the request says it, or the chain does.
#[tokio::test(flavor = "multi_thread")]
async fn a_challenge_lives_as_long_as_its_account_needs() {
    let mut bench = Bench::start().await;
    bench.settle().await;
    let node = Arc::new(super::node::Node::of(&bench.chain));
    let api = Endpoint::beside(
        &bench,
        Settings {
            calls: Some(node),
            ..Settings::default()
        },
    )
    .await;
    let contract = bench.chain.deployment.contracts.did_registry;
    let table = [
        (
            json!({"address": Person::new("alice").address()}),
            TimeDelta::minutes(10),
        ),
        (json!({"address": contract}), TimeDelta::hours(24)),
        (
            json!({"address": contract, "contractWallet": false}),
            TimeDelta::minutes(10),
        ),
        (
            json!({"address": Person::new("alice").address(), "contractWallet": true}),
            TimeDelta::hours(24),
        ),
    ];
    for (asked, lives) in table {
        assert_eq!(
            minutes(&challenge(&api, &asked).await),
            lives.num_minutes(),
            "{asked}"
        );
    }
}
