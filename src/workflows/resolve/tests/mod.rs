//! What is decided of workflows that stand in the registry and the catalog; `elsewhere.rs`: of those that lie elsewhere.
//!
//! No registration stands in the very place where an agreement is created, since a place holds one log: whether that one would count
//! as before is not asked.

use alloy::primitives::{Address, B256};
use serde_json::json;

use super::*;
use crate::ids::BlockRef;
use crate::keeper::KeeperEvent;
use crate::workflows::{Checksum, Code, Finding, ImageFacts, Release, Subject};

const DID: Did = Did(B256::repeat_byte(1));
const AGREEMENT: AgreementId = AgreementId(B256::repeat_byte(2));
const CONSUMER: Address = Address::repeat_byte(0xc0);
const STRANGER: Address = Address::repeat_byte(0x66);

fn catalog(privacy: &str) -> Catalog {
    let text = format!(
        "policy: {{images: [python]}}
assets:
  - did: \"{DID}\"
    minimumPrice: 1
    files: [{{url: 'https://data.example/a.csv'}}]
    privacy: {privacy}
    workflow: {{main: {{type: workflow, workflow: {{stages: [{{transformation: {{container:
        {{image: python, checksum: 'sha256:{digest}', entrypoint: default}}}}}}]}}}}}}
  - {{did: \"{other}\", minimumPrice: 1, enabled: false}}
",
        digest = "ab".repeat(32),
        other = Did(B256::repeat_byte(9)),
    );
    Catalog::parse(text.as_bytes()).unwrap()
}

fn open() -> Catalog {
    catalog("{allowRawAlgorithm: true}")
}

fn document(change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    let mut document = json!({"main": {"type": "workflow", "workflow": {"stages": [{
        "transformation": {"rawcode": "print(1)", "container": {"image": "python", "tag": "3.12",
            "checksum": format!("sha256:{}", "cd".repeat(32)), "entrypoint": "python $ALGO"}},
        "requirements": {"cpu": "500m", "maxtime": 60}}]}}});
    change(&mut document);
    [
        b"data:application/json,".as_slice(),
        document.to_string().as_bytes(),
    ]
    .concat()
}

fn at(block: u64, log_index: u64, event: KeeperEvent) -> Recorded {
    Recorded {
        log: i64::try_from(block * 100 + log_index).unwrap(),
        block: BlockRef {
            number: block,
            hash: B256::ZERO,
        },
        transaction: B256::with_last_byte(1),
        transaction_index: 0,
        log_index,
        event,
    }
}

fn registered(block: u64, did: Did, owner: Address, value: &[u8]) -> Recorded {
    at(
        block,
        0,
        KeeperEvent::DidRegistered {
            did,
            owner,
            checksum: B256::ZERO,
            value: value.to_vec(),
            by: owner,
        },
    )
}

fn transferred(block: u64, did: Did, from: Address, to: Address) -> Recorded {
    at(
        block,
        1,
        KeeperEvent::DidOwnershipTransferred { did, from, to },
    )
}

/// What is elsewhere: what other DIDs have registered, and what is found at addresses and in registries.
#[derive(Default)]
struct Elsewhere {
    registered: Vec<Recorded>,
    at: Vec<(String, Finding)>,
    image: Option<Finding>,
}

/// The agreement was created in block 10 and fulfilled in block 20. Every want is answered; a pinned image is unknown unless said
/// otherwise.
fn decide_with(
    catalog: &Catalog,
    registrations: &[Recorded],
    elsewhere: &Elsewhere,
) -> Result<Frozen, Refusal> {
    let question = Resolution {
        agreement: AGREEMENT,
        did: DID,
        consumer: CONSUMER,
        agreement_created: Position {
            block: 10,
            log_index: 5,
        },
        decided_at: Position {
            block: 20,
            log_index: 5,
        },
        registrations,
        catalog,
    };
    let mut found = Found::default();
    for _ in 0..10 {
        match resolve(&question, &found) {
            Conclusion::Frozen(frozen) => return Ok(*frozen),
            Conclusion::Refused(refusal) => return Err(refusal),
            Conclusion::Wants(Want::Registrations { did }) => {
                let of_did = |it: &&Recorded| matches!(it.event, KeeperEvent::DidRegistered { did: of, .. } if of == did);
                let events = elsewhere.registered.iter().filter(of_did).cloned();
                found.put_registrations(did, events.collect());
            }
            Conclusion::Wants(want) => {
                let finding = match &want {
                    Want::Bytes { addresses, .. } => {
                        let mut at = elsewhere.at.iter();
                        let there = at.find(|(address, _)| addresses.contains(address));
                        there.unwrap_or_else(|| panic!("{want:?}")).1.clone()
                    }
                    _ => elsewhere.image.clone().unwrap_or(Finding::Unknown),
                };
                found.put(want, finding);
            }
        }
    }
    panic!("it goes on wanting");
}

fn decide(catalog: &Catalog, registrations: &[Recorded]) -> Result<Frozen, Refusal> {
    decide_with(catalog, registrations, &Elsewhere::default())
}

fn own() -> Did {
    Did(AGREEMENT.0)
}

fn reason(answer: Result<Frozen, Refusal>) -> Reason {
    answer.unwrap_err().reason
}

#[test]
fn the_consumers_registration_comes_first_and_is_frozen_to_the_byte() {
    let value = document(|_| ());
    let frozen = decide(&open(), &[registered(9, own(), CONSUMER, &value)]).unwrap();
    assert_eq!(frozen.source, Source::Consumer);
    assert_eq!(
        frozen.document.as_deref(),
        value.strip_prefix(b"data:application/json,")
    );
    assert_eq!(frozen.registrations, [900]);
    let spec = &frozen.spec;
    assert_eq!(spec.algorithm.entrypoint, "python $ALGO");
    assert_eq!(spec.algorithm.code, Some(Code::from("print(1)")));
    assert_eq!(spec.resources.cpu, "500m");
    assert_eq!(spec.resources.memory, "1Gi");
    assert_eq!(spec.resources.max_execution_seconds, 60);
    assert!(!spec.allow_network && !spec.algorithm.vetted);
    assert_eq!(spec.release.logs, Release::None);
    assert_eq!(spec.inputs[0].url, "https://data.example/a.csv");
}

#[test]
fn without_one_the_catalogs_default_runs_and_its_log_may_leave() {
    let frozen = decide(&catalog("{}"), &[]).unwrap();
    assert_eq!(frozen.source, Source::Catalog);
    assert_eq!(frozen.document, None);
    assert_eq!(frozen.spec.algorithm.entrypoint, "default");
    assert!(frozen.spec.algorithm.vetted);
    assert_eq!(frozen.spec.release.logs, Release::Raw);
}

#[test]
fn the_last_value_and_owner_at_the_deciding_place_count() {
    let entrypoint = |text: &'static str| {
        document(move |d| {
            d["main"]["workflow"]["stages"][0]["transformation"]["container"]["entrypoint"] =
                json!(text);
        })
    };
    let (first, second, late) = (
        entrypoint("first"),
        entrypoint("second"),
        entrypoint("late"),
    );
    let said = |registrations: &[Recorded]| {
        decide(&open(), registrations).map(|frozen| frozen.spec.algorithm.entrypoint)
    };
    let mut twice = vec![
        registered(9, own(), CONSUMER, &first),
        registered(20, own(), CONSUMER, &second),
        registered(21, own(), CONSUMER, &late),
    ];
    assert_eq!(said(&twice).unwrap(), "second");
    twice.reverse();
    assert_eq!(
        said(&twice).unwrap(),
        "second",
        "the order of arrival does not matter"
    );

    let given_away = [
        registered(9, own(), CONSUMER, &first),
        transferred(12, own(), CONSUMER, STRANGER),
        registered(13, own(), STRANGER, &second),
    ];
    assert_eq!(said(&given_away).unwrap(), "default");
    let merely_given_away = [
        registered(9, own(), CONSUMER, &first),
        transferred(12, own(), CONSUMER, STRANGER),
    ];
    assert_eq!(said(&merely_given_away).unwrap(), "default");
    let late_gift = [
        registered(9, own(), CONSUMER, &first),
        transferred(21, own(), CONSUMER, STRANGER),
    ];
    assert_eq!(said(&late_gift).unwrap(), "first");
    let given = [
        registered(9, own(), STRANGER, &first),
        transferred(12, own(), STRANGER, CONSUMER),
    ];
    assert_eq!(reason(decide(&open(), &given)), Reason::WorkflowDidTaken);
    let given_and_used = [
        given.as_slice(),
        &[registered(13, own(), CONSUMER, &second)],
    ]
    .concat();
    assert_eq!(said(&given_and_used).unwrap(), "second");
}

#[test]
fn a_squatted_id_is_never_answered_with_the_default() {
    let value = document(|_| ());
    let squatted = registered(9, own(), STRANGER, &value);
    assert_eq!(
        reason(decide(&open(), std::slice::from_ref(&squatted))),
        Reason::WorkflowDidTaken
    );

    let later = registered(11, own(), STRANGER, &value);
    assert_eq!(decide(&open(), &[later]).unwrap().source, Source::Catalog);

    let naming = document(|d| d["agreementId"] = json!(AGREEMENT));
    let elsewhere = registered(15, Did(B256::repeat_byte(7)), CONSUMER, &naming);
    assert_eq!(
        decide(&open(), &[squatted, elsewhere]).unwrap().source,
        Source::Consumer
    );
}

#[test]
fn a_document_elsewhere_counts_when_it_is_the_consumers_and_names_the_agreement() {
    let elsewhere = Did(B256::repeat_byte(7));
    let naming = document(|d| d["agreementId"] = json!(AGREEMENT));
    let by = |owner, value: &[u8]| decide(&open(), &[registered(15, elsewhere, owner, value)]);
    assert_eq!(by(CONSUMER, &naming).unwrap().source, Source::Consumer);
    assert_eq!(by(STRANGER, &naming).unwrap().source, Source::Catalog);
    assert_eq!(
        by(CONSUMER, &document(|_| ())).unwrap().source,
        Source::Catalog
    );
    assert_eq!(named_agreement_of(&naming), Some(AGREEMENT));

    let other = document(|d| d["agreementId"] = json!(B256::repeat_byte(8)));
    assert_eq!(
        reason(decide(&open(), &[registered(9, own(), CONSUMER, &other)])),
        Reason::DocumentInvalid
    );
}

fn named_agreement_of(value: &[u8]) -> Option<AgreementId> {
    crate::workflows::named_agreement(value)
}

#[test]
fn the_policy_has_the_last_word() {
    type Change = fn(&mut serde_json::Value);
    let stage: [(Change, Reason); 10] = [
        (
            |s| s["transformation"]["container"]["image"] = json!("evil/python"),
            Reason::ImageNotAllowed,
        ),
        (
            |s| {
                let container = &mut s["transformation"]["container"];
                (container["checksum"], container["tag"]) = (json!(""), json!(""));
            },
            Reason::DigestMissing,
        ),
        (
            |s| s["requirements"]["allowNetworkAccess"] = json!(true),
            Reason::NetworkNotAllowed,
        ),
        (
            |s| s["input"] = json!([{"id": Did(B256::repeat_byte(8))}]),
            Reason::ForeignInput,
        ),
        (
            |s| s["input"] = json!([{"id": DID}, {"id": DID}]),
            Reason::ForeignInput,
        ),
        (
            |s| s["requirements"]["cpu"] = json!("1001m"),
            Reason::ResourcesExceeded,
        ),
        (
            |s| s["requirements"]["maxtime"] = json!(3601),
            Reason::ResourcesExceeded,
        ),
        (
            |s| s["requirements"]["gpu"] = json!(1),
            Reason::ResourcesExceeded,
        ),
        (
            |s| s["transformation"] = json!({"id": Did(B256::repeat_byte(5))}),
            Reason::DocumentUnavailable,
        ),
        (|s| s["transformation"] = json!({}), Reason::DocumentInvalid),
    ];
    for (change, expected) in stage {
        let value = document(|d| change(&mut d["main"]["workflow"]["stages"][0]));
        let answer = decide(&open(), &[registered(9, own(), CONSUMER, &value)]);
        assert_eq!(reason(answer), expected);
    }
    let value = document(|_| ());
    let theirs = [registered(9, own(), CONSUMER, &value)];
    assert_eq!(
        reason(decide(&catalog("{}"), &theirs)),
        Reason::RawAlgorithmNotAllowed
    );
    let trusting = catalog(&format!(
        "{{allowRawAlgorithm: true, trustedAlgorithms: ['{}']}}",
        Did(B256::repeat_byte(4))
    ));
    assert_eq!(
        reason(decide(&trusting, &theirs)),
        Reason::AlgorithmNotTrusted
    );
    assert_eq!(
        reason(decide(&Catalog::empty(), &theirs)),
        Reason::NotOurAsset
    );
}

#[test]
fn values_that_are_no_document_are_refused_and_never_replaced_by_the_default() {
    let values: [&[u8]; 5] = [
        b"documents.example/d.json",
        b"data:application/json,{",
        b"data:text/plain,{}",
        b"a\0b",
        b"",
    ];
    for value in values {
        let answer = decide(&open(), &[registered(9, own(), CONSUMER, value)]);
        assert_eq!(reason(answer), Reason::DocumentInvalid);
    }
}

#[test]
fn a_disabled_asset_runs_nothing() {
    let catalog = open();
    let question = Resolution {
        agreement: AGREEMENT,
        did: Did(B256::repeat_byte(9)),
        consumer: CONSUMER,
        agreement_created: Position::default(),
        decided_at: Position::default(),
        registrations: &[],
        catalog: &catalog,
    };
    let answer = resolve(&question, &Found::default());
    assert_eq!(
        answer,
        Conclusion::Refused(Refusal::of(Reason::AssetDisabled))
    );
}

mod elsewhere;
