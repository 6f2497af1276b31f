//! Workflows and algorithms that lie elsewhere: consumers' addresses, DDOs, algorithms with a DID, images by tag.

use alloy::primitives::keccak256;

use super::*;

const ALGORITHM: Did = Did(B256::repeat_byte(5));
const URL: &str = "https://documents.example/d.json";

/// A value of the registry with its checksum.
fn named(block: u64, did: Did, owner: Address, value: &str, checksum: B256) -> Recorded {
    at(
        block,
        0,
        KeeperEvent::DidRegistered {
            did,
            owner,
            checksum,
            value: value.as_bytes().to_vec(),
            by: owner,
        },
    )
}

fn body(change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    document(change)
        .strip_prefix(b"data:application/json,")
        .unwrap()
        .to_vec()
}

fn there(url: &str, finding: Finding) -> Elsewhere {
    Elsewhere {
        at: vec![(url.to_owned(), finding)],
        ..Elsewhere::default()
    }
}

fn without_default(more: &str) -> Catalog {
    let text = format!(
        "policy: {{images: [python], documentOrigins: ['https://aquarius.example']}}
assets: [{{did: '{DID}', minimumPrice: 1, privacy: {more}}}]"
    );
    Catalog::parse(text.as_bytes()).unwrap()
}

fn algorithm_ddo(change: impl FnOnce(&mut serde_json::Value)) -> serde_json::Value {
    let mut ddo = json!({"@context": "https://w3id.org/did/v1", "id": ALGORITHM, "service": [{
        "type": "metadata", "attributes": {"main": {"type": "algorithm",
            "algorithm": {"language": "python", "container": {"image": "python", "tag": "3.12",
                "checksum": format!("sha256:{}", "cd".repeat(32)), "entrypoint": "python $ALGO"}},
            "files": [{"index": 0, "url": "https://algorithms.example/mean.py", "checksumType": "SHA-256",
                "checksum": alloy::hex::encode(Code::from("mean").sha256())}]}}}]});
    change(&mut ddo["service"][0]["attributes"]["main"]);
    ddo
}

fn inline(ddo: &serde_json::Value) -> String {
    format!("data:application/json,{ddo}")
}

/// The consumer asks for the algorithm by its DID; its DDO stands in the registry and its file is served.
fn ask_for_algorithm(
    privacy: &str,
    ddo: &serde_json::Value,
    file: Finding,
) -> Result<Frozen, Refusal> {
    let wish = document(|d| {
        d["main"]["workflow"]["stages"][0]["transformation"] = json!({"id": ALGORITHM});
    });
    let elsewhere = Elsewhere {
        registered: vec![named(3, ALGORITHM, STRANGER, &inline(ddo), B256::ZERO)],
        ..there("https://algorithms.example/mean.py", file)
    };
    decide_with(
        &without_default(privacy),
        &[registered(9, own(), CONSUMER, &wish)],
        &elsewhere,
    )
}

fn mean() -> Finding {
    Finding::Bytes(b"mean".to_vec())
}

fn trusting(more: &str) -> String {
    format!("{{trustedAlgorithms: [{{did: '{ALGORITHM}'{more}}}]}}")
}

#[test]
fn a_consumers_document_by_address_is_bound_by_its_checksum() {
    let bytes = body(|_| ());
    let said = named(9, own(), CONSUMER, URL, keccak256(&bytes));
    let question = Resolution {
        agreement: AGREEMENT,
        did: DID,
        consumer: CONSUMER,
        agreement_created: Position::default(),
        decided_at: Position {
            block: 20,
            log_index: 0,
        },
        registrations: std::slice::from_ref(&said),
        catalog: &open(),
    };
    let Conclusion::Wants(Want::Bytes {
        addresses,
        expected,
        trusted: false,
        ..
    }) = resolve(&question, &Found::default())
    else {
        panic!("it wants the document");
    };
    assert_eq!(addresses, [URL]);
    assert_eq!(expected, Some(Checksum::Keccak256(keccak256(&bytes))));

    let decided = |finding| decide_with(&open(), std::slice::from_ref(&said), &there(URL, finding));
    let frozen = decided(Finding::Bytes(bytes.clone())).unwrap();
    assert_eq!(
        (frozen.source, frozen.document),
        (Source::Consumer, Some(bytes))
    );
    for (finding, expected) in [
        (
            Finding::Wrong("Its Keccak-256 is another.".to_owned()),
            Reason::DocumentInvalid,
        ),
        (Finding::TooLarge, Reason::DocumentInvalid),
        (Finding::Unavailable, Reason::DocumentUnavailable),
        (Finding::Bytes(b"{".to_vec()), Reason::DocumentInvalid),
    ] {
        let refusal = decided(finding).unwrap_err();
        assert_eq!(
            (refusal.reason, refusal.registration),
            (expected, Some(900)),
            "{}",
            refusal.sentence
        );
    }
}

#[test]
fn an_address_under_another_did_counts_when_it_names_the_agreement() {
    let other = Did(B256::repeat_byte(7));
    let naming = body(|d| d["agreementId"] = json!(AGREEMENT));
    let value = format!("{URL}#{AGREEMENT}");
    let by = |owner, value: &str, bytes: Vec<u8>| {
        let said = named(15, other, owner, value, keccak256(&bytes));
        decide_with(&open(), &[said], &there(URL, Finding::Bytes(bytes)))
    };
    assert_eq!(
        by(CONSUMER, &value, naming.clone()).unwrap().source,
        Source::Consumer
    );
    assert_eq!(
        by(STRANGER, &value, naming.clone()).unwrap().source,
        Source::Catalog
    );
    assert_eq!(by(CONSUMER, URL, naming).unwrap().source, Source::Catalog);
    let refusal = by(CONSUMER, &value, body(|_| ())).unwrap_err();
    assert!(
        refusal.sentence.contains("names no agreement"),
        "{}",
        refusal.sentence
    );
}

#[test]
fn the_assets_ddo_comes_before_the_catalog() {
    let workflow = body(|_| ());
    let workflow = json!({"id": DID, "service": [{"type": "metadata",
        "attributes": serde_json::from_slice::<serde_json::Value>(&workflow).unwrap()}]});
    let choosing = |main: serde_json::Value| json!({"id": DID, "service": [{"type": "compute", "attributes": {"main": main}}]});
    let given = json!({"container": {"image": "python", "checksum": format!("sha256:{}", "cd".repeat(32)), "entrypoint": "x"}});
    let algorithm = named(
        3,
        ALGORITHM,
        STRANGER,
        &inline(&algorithm_ddo(|_| ())),
        B256::ZERO,
    );
    let decided = |ddo: &serde_json::Value| {
        let elsewhere = Elsewhere {
            registered: vec![
                named(2, DID, STRANGER, &inline(ddo), B256::ZERO),
                algorithm.clone(),
            ],
            ..there("https://algorithms.example/mean.py", mean())
        };
        decide_with(&open(), &[], &elsewhere).map(|frozen| {
            let did = frozen.spec.algorithm.did;
            (frozen.source, did, frozen.registrations)
        })
    };
    assert_eq!(decided(&workflow), Ok((Source::Asset, None, vec![200])));
    let by_service = decided(&choosing(json!({"algorithm": given})));
    assert_eq!(by_service, Ok((Source::Service, None, vec![200])));
    let one = json!({"privacy": {"trustedAlgorithms": [ALGORITHM]}});
    let expected = Ok((Source::Service, Some(ALGORITHM), vec![200, 300]));
    assert_eq!(decided(&choosing(one)), expected);
    let as_object =
        json!({"privacy": {"trustedAlgorithms": [{"did": ALGORITHM, "filesChecksum": "x"}]}});
    assert_eq!(decided(&choosing(as_object)), expected);
    let two = json!({"privacy": {"trustedAlgorithms": [ALGORITHM, DID]}});
    for nothing in [
        choosing(two),
        choosing(json!({})),
        json!({"id": DID}),
        json!({"id": ALGORITHM}),
        json!(5),
    ] {
        assert_eq!(decided(&nothing).unwrap().0, Source::Catalog, "{nothing}");
    }
}

#[test]
fn a_ddo_elsewhere_is_asked_for_only_where_it_counts() {
    let ddo = body(|_| ());
    let with = |catalog: &Catalog, url: &str, checksum: B256| {
        let elsewhere = Elsewhere {
            registered: vec![named(2, DID, STRANGER, url, checksum)],
            ..there(url, Finding::Bytes(ddo.clone()))
        };
        decide_with(catalog, &[], &elsewhere)
    };
    let (raw, url) = ("{allowRawAlgorithm: true}", "https://anywhere.example/ddo");
    let bare = without_default(raw);
    // A bare workflow in the asset's place lacks the id that a fetched DDO must have.
    assert_eq!(
        reason(with(&bare, url, keccak256(&ddo))),
        Reason::DocumentInvalid
    );
    assert_eq!(reason(with(&bare, url, B256::ZERO)), Reason::NoAlgorithm);
    assert_eq!(
        with(&open(), url, keccak256(&ddo)).unwrap().source,
        Source::Catalog
    );
    let trusted = "https://aquarius.example/api/v1/aquarius/assets/ddo/x";
    assert_eq!(
        reason(with(&bare, trusted, B256::ZERO)),
        Reason::DocumentInvalid
    );
}

/// What is asked for first outside of the registry, when nothing was found yet.
fn first_wanted(
    catalog: &Catalog,
    registrations: &[Recorded],
    registered: &[Recorded],
) -> Result<Want, Refusal> {
    let question = Resolution {
        agreement: AGREEMENT,
        did: DID,
        consumer: CONSUMER,
        agreement_created: Position::default(),
        decided_at: Position {
            block: 20,
            log_index: 0,
        },
        registrations,
        catalog,
    };
    let mut found = Found::default();
    loop {
        match resolve(&question, &found) {
            Conclusion::Wants(Want::Registrations { did }) => {
                let of_did = |it: &&Recorded| matches!(it.event, KeeperEvent::DidRegistered { did: of, .. } if of == did);
                let events = registered.iter().filter(of_did).cloned().collect();
                found.put_registrations(did, events);
            }
            Conclusion::Wants(want) => return Ok(want),
            Conclusion::Refused(refusal) => return Err(refusal),
            Conclusion::Frozen(frozen) => panic!("nothing was wanted: {frozen:?}"),
        }
    }
}

/// A DDO counts by its checksum on chain, or by the publisher's trust in where it lies; without either nobody is asked there.
#[test]
fn a_ddo_is_bound_by_its_checksum_or_by_trust_in_its_origin() {
    let wish = document(|d| {
        d["main"]["workflow"]["stages"][0]["transformation"] = json!({"id": ALGORITHM});
    });
    let algorithm = |url: &str, checksum| {
        let said = [registered(9, own(), CONSUMER, &wish)];
        let elsewhere = [named(3, ALGORITHM, STRANGER, url, checksum)];
        first_wanted(&without_default(&trusting("")), &said, &elsewhere)
    };
    let asset = |url: &str, checksum| {
        let elsewhere = [named(2, DID, STRANGER, url, checksum)];
        first_wanted(&without_default("{}"), &[], &elsewhere)
    };
    let (near, far) = ("https://aquarius.example/x", "https://far.example/x");
    let checksum = B256::repeat_byte(3);
    let wants = |of: Subject, url: &str, trusted: bool| {
        Ok(Want::Bytes {
            of,
            addresses: vec![url.to_owned()],
            expected: (!trusted).then_some(Checksum::Keccak256(checksum)),
            trusted,
        })
    };
    for (url, sum, trusted) in [
        (near, B256::ZERO, true),
        (near, checksum, true),
        (far, checksum, false),
    ] {
        let wanted = algorithm(url, sum);
        assert_eq!(
            wanted,
            wants(Subject::Algorithm, url, trusted),
            "{url} {sum}"
        );
        let wanted = asset(url, sum);
        assert_eq!(wanted, wants(Subject::Asset, url, trusted), "{url} {sum}");
    }
    let service = format!("https://aquarius.example/api/v1/aquarius/assets/ddo/{ALGORITHM}");
    let unbound = algorithm(far, B256::ZERO);
    assert_eq!(unbound, wants(Subject::Algorithm, &service, true));
    let refusal = asset(far, B256::ZERO).unwrap_err();
    assert_eq!(refusal.reason, Reason::NoAlgorithm);
}

/// The algorithm's file is asked for with the checksum of its DDO, else with the publisher's own for this very algorithm.
#[test]
fn an_algorithms_file_is_bound_by_its_ddo_or_else_by_the_publisher() {
    let wish = document(|d| {
        d["main"]["workflow"]["stages"][0]["transformation"] = json!({"id": ALGORITHM});
    });
    let expected = |ddo: &serde_json::Value, privacy: &str| {
        let said = [registered(9, own(), CONSUMER, &wish)];
        let elsewhere = [named(3, ALGORITHM, STRANGER, &inline(ddo), B256::ZERO)];
        match first_wanted(&without_default(privacy), &said, &elsewhere) {
            Ok(Want::Bytes {
                of: Subject::Code,
                trusted: false,
                expected,
                ..
            }) => expected,
            other => panic!("{other:?}"),
        }
    };
    let own = Checksum::Sha256(Code::from("mean").sha256());
    let (theirs, others) = ("e1".repeat(32), "e2".repeat(32));
    let pinned = format!(
        "{{trustedAlgorithms: [{{did: '{DID}', file: 'sha256:{others}'}}, {{did: '{ALGORITHM}', file: 'sha256:{theirs}'}}]}}"
    );
    let bound = algorithm_ddo(|_| ());
    let unbound = algorithm_ddo(|main| main["files"][0]["checksum"] = json!(""));
    assert_eq!(expected(&bound, &trusting("")), Some(own));
    assert_eq!(expected(&bound, &pinned), Some(own));
    let by_publisher = Checksum::Sha256(theirs.parse().unwrap());
    assert_eq!(expected(&unbound, &pinned), Some(by_publisher));
}

#[test]
fn an_algorithm_with_a_did_brings_its_container_and_file() {
    let ddo = algorithm_ddo(|_| ());
    let frozen = ask_for_algorithm(&trusting(""), &ddo, mean()).unwrap();
    let algorithm = &frozen.spec.algorithm;
    assert_eq!(algorithm.did, Some(ALGORITHM));
    assert_eq!(algorithm.code, Some(Code::from("mean")));
    assert_eq!(algorithm.entrypoint, "python $ALGO");
    assert!(algorithm.vetted);
    assert_eq!(frozen.spec.release.logs, Release::Raw);
    assert_eq!(frozen.registrations, [900, 300]);

    let open = ask_for_algorithm("{allowRawAlgorithm: true}", &ddo, mean()).unwrap();
    assert!(!open.spec.algorithm.vetted, "allowed is not trusted");
    let other = format!("{{allowRawAlgorithm: true, trustedAlgorithms: ['{DID}']}}");
    for privacy in ["{}", other.as_str()] {
        let answer = ask_for_algorithm(privacy, &ddo, mean());
        assert_eq!(reason(answer), Reason::AlgorithmNotTrusted, "{privacy}");
    }
}

#[test]
fn trust_in_a_did_can_be_pinned_to_file_and_container() {
    let ddo = algorithm_ddo(|_| ());
    let (good, bad) = (Code::from("mean").sha256(), "ee".repeat(32));
    let pin = |key: &str, hex: &str| trusting(&format!(", {key}: 'sha256:{hex}'"));
    let good = alloy::hex::encode(good);
    for (privacy, allowed) in [
        (pin("file", &good), true),
        (pin("file", &bad), false),
        (pin("container", &"cd".repeat(32)), true),
        (pin("container", &bad), false),
        (trusting(", entrypoint: 'python $ALGO'"), true),
        (trusting(", entrypoint: 'python'"), false),
    ] {
        let answer = ask_for_algorithm(&privacy, &ddo, mean());
        let refused = answer.map(|_| ()).map_err(|refusal| refusal.reason);
        let expected = if allowed {
            Ok(())
        } else {
            Err(Reason::AlgorithmNotTrusted)
        };
        assert_eq!(refused, expected, "{privacy}");
    }
    let unbound = algorithm_ddo(|main| main["files"][0]["checksumType"] = json!("MD5"));
    let answer = ask_for_algorithm(&trusting(""), &unbound, mean());
    assert!(answer.unwrap_err().sentence.contains("no SHA-256"));
    assert!(ask_for_algorithm(&pin("file", &good), &unbound, mean()).is_ok());
}

#[test]
fn raw_code_is_trusted_by_what_it_is_made_of() {
    let trusted = |entrypoint: &str| {
        without_default(&format!(
            "{{allowRawAlgorithm: true, trustedAlgorithms: [{{file: 'sha256:{}', container: 'sha256:{}', entrypoint: '{entrypoint}'}}]}}",
            alloy::hex::encode(Code::from("print(1)").sha256()),
            "cd".repeat(32),
        ))
    };
    let raw = [registered(9, own(), CONSUMER, &document(|_| ()))];
    assert!(
        decide(&trusted("python $ALGO"), &raw)
            .unwrap()
            .spec
            .algorithm
            .vetted
    );
    assert_eq!(
        reason(decide(&trusted("python"), &raw)),
        Reason::AlgorithmNotTrusted
    );
}

#[test]
fn what_is_wrong_with_an_algorithm_is_said() {
    type Change = fn(&mut serde_json::Value);
    let changes: [(Change, Reason, &str); 7] = [
        (
            |main| main["type"] = json!("dataset"),
            Reason::DocumentInvalid,
            "\"algorithm\"",
        ),
        (
            |main| main["algorithm"]["container"] = json!(null),
            Reason::DocumentInvalid,
            "container",
        ),
        (
            |main| main["files"][0]["url"] = json!(""),
            Reason::DocumentInvalid,
            "encrypted",
        ),
        (
            |main| main["files"] = json!([{}, {}]),
            Reason::DocumentInvalid,
            "exactly one file",
        ),
        (
            |main| main["algorithm"]["rawcode"] = json!("x"),
            Reason::DocumentInvalid,
            "contradicts",
        ),
        (
            |main| main["files"][0]["checksum"] = json!("12"),
            Reason::DocumentInvalid,
            "file checksum",
        ),
        (
            |main| main["algorithm"]["container"]["image"] = json!("evil/python"),
            Reason::ImageNotAllowed,
            "docker.io/evil/python",
        ),
    ];
    for (change, expected, part) in changes {
        let refusal = ask_for_algorithm(&trusting(""), &algorithm_ddo(change), mean()).unwrap_err();
        assert_eq!(refusal.reason, expected, "{}", refusal.sentence);
        assert!(refusal.sentence.contains(part), "{}", refusal.sentence);
        assert!(refusal.registration.is_some());
    }
    let ddo = algorithm_ddo(|_| ());
    for (finding, expected) in [
        (Finding::TooLarge, Reason::AlgorithmTooLarge),
        (Finding::Wrong(String::new()), Reason::DocumentInvalid),
        (Finding::Unavailable, Reason::DocumentUnavailable),
    ] {
        assert_eq!(
            reason(ask_for_algorithm(&trusting(""), &ddo, finding)),
            expected
        );
    }
}

#[test]
fn an_algorithm_that_is_not_in_the_registry_is_asked_for_at_the_publishers_metadata_service() {
    let wish = document(|d| {
        d["main"]["workflow"]["stages"][0]["transformation"] = json!({"id": ALGORITHM});
    });
    let url = format!("https://aquarius.example/api/v1/aquarius/assets/ddo/{ALGORITHM}");
    let decided = |ddo: &serde_json::Value| {
        let mut elsewhere = there(&url, Finding::Bytes(ddo.to_string().into_bytes()));
        elsewhere
            .at
            .push(("https://algorithms.example/mean.py".to_owned(), mean()));
        let said = [registered(9, own(), CONSUMER, &wish)];
        decide_with(&without_default(&trusting("")), &said, &elsewhere)
    };
    let ddo = algorithm_ddo(|_| ());
    assert_eq!(decided(&ddo).unwrap().spec.algorithm.did, Some(ALGORITHM));
    let mut another = ddo;
    another["id"] = json!(DID);
    let refusal = decided(&another).unwrap_err();
    assert!(
        refusal.sentence.contains("does not have the id"),
        "{}",
        refusal.sentence
    );
}

#[test]
fn a_tag_is_resolved_and_the_platforms_digest_runs() {
    let by_tag = document(|d| {
        d["main"]["workflow"]["stages"][0]["transformation"]["container"]["checksum"] = json!("");
    });
    let decided = |value: &[u8], image: Finding| {
        let elsewhere = Elsewhere {
            image: Some(image),
            ..Elsewhere::default()
        };
        let said = [registered(9, own(), CONSUMER, value)];
        decide_with(&open(), &said, &elsewhere).map(|frozen| frozen.spec.algorithm)
    };
    let facts = |volumes: &[&str]| {
        Finding::Image(ImageFacts {
            digest: format!("sha256:{}", "77".repeat(32)),
            volumes: volumes.iter().map(|it| (*it).to_owned()).collect(),
        })
    };
    for value in [&by_tag, &document(|_| ())] {
        let algorithm = decided(value, facts(&["/data/outputs", "/tmp/"])).unwrap();
        assert_eq!(algorithm.digest, format!("sha256:{}", "77".repeat(32)));
        assert_eq!(algorithm.tag.as_deref(), Some("3.12"));
        for volume in ["/var/lib/postgresql/data", "/tmp/x", "/data", "/", ""] {
            let refusal = decided(value, facts(&["/tmp", volume])).unwrap_err();
            assert_eq!(refusal.reason, Reason::ImageNotAllowed, "{volume}");
            assert!(refusal.sentence.contains("declares a volume"));
        }
    }
    let pinned = decided(&document(|_| ()), Finding::Unknown).unwrap();
    assert_eq!(pinned.digest, format!("sha256:{}", "cd".repeat(32)));
    let wrong = decided(&by_tag, Finding::Wrong("no such tag".to_owned())).unwrap_err();
    assert_eq!(wrong.reason, Reason::DigestMissing);
    let silent = decided(&by_tag, Finding::Unavailable).unwrap_err();
    assert_eq!(silent.reason, Reason::DocumentUnavailable);
}
