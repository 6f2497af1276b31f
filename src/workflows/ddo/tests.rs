use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// Any JSON of a modest size, with the keys that matter turning up often.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        Just(json!("algorithm")),
        Just(json!("metadata")),
        Just(json!("compute")),
    ];
    let key = prop_oneof![
        Just("id"),
        Just("service"),
        Just("type"),
        Just("attributes"),
        Just("main"),
        Just("files"),
        Just("algorithm"),
        Just("container"),
        Just("privacy"),
        Just("trustedAlgorithms"),
        Just("x"),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        let pair = (key.clone(), inner.clone());
        prop_oneof![
            proptest::collection::vec(inner, 0..5).prop_map(Value::from),
            proptest::collection::vec(pair, 0..6).prop_map(|pairs| {
                Value::Object(
                    pairs
                        .into_iter()
                        .map(|(key, value)| (key.to_owned(), value))
                        .collect(),
                )
            }),
        ]
    })
}

proptest! {
    #[test]
    fn no_document_panics(document in any_json(), cut in 0_usize..200) {
        let bytes = serde_json::to_vec(&document).unwrap();
        for bytes in [&bytes[..], &bytes[..cut.min(bytes.len())]] {
            if let Ok(ddo) = Ddo::parse(bytes) {
                _ = ddo.service_choice();
                _ = ddo.algorithm();
            }
            _ = crate::workflows::Document::parse(bytes);
        }
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        _ = Ddo::parse(&bytes);
        _ = crate::workflows::Document::parse(&bytes);
    }
}

#[test]
fn bombs_and_doubles_are_refused() {
    let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    let twice = br#"{"id": "did:op:0101010101010101010101010101010101010101010101010101010101010101", "id": null}"#;
    let number = format!(
        r#"{{"main": {{"type": "algorithm", "x": 1{}}}}}"#,
        "0".repeat(400)
    );
    for bytes in [
        deep.as_slice(),
        twice,
        b"\xff",
        b"{\"a\": \"\xc3\"}",
        number.as_bytes(),
    ] {
        assert!(matches!(
            Ddo::parse(bytes),
            Err(BadDocument::NotJson { .. })
        ));
    }
}

#[test]
fn a_ddo_may_have_as_many_bytes_as_a_document_and_not_one_more() {
    let mut bytes = br#"{"main": {"type": "dataset"}}"#.to_vec();
    bytes.resize(LARGEST_DOCUMENT, b' ');
    let read = Ddo::parse(&bytes);
    assert!(!matches!(read, Err(BadDocument::TooLarge)));
    bytes.push(b' ');
    assert!(matches!(Ddo::parse(&bytes), Err(BadDocument::TooLarge)));
}

#[test]
fn an_algorithm_has_its_code_in_the_ddo_or_in_one_file_or_in_its_image() {
    let read = |change: fn(&mut Value)| {
        let mut ddo = json!({"main": {"type": "algorithm", "algorithm": {"container":
            {"image": "python", "tag": "3.12", "entrypoint": "python $ALGO"}}}});
        change(&mut ddo["main"]);
        let ddo = Ddo::parse(&serde_json::to_vec(&ddo).unwrap()).unwrap();
        ddo.algorithm()
            .map(|it| (it.given.code.is_some(), it.file.map(|file| file.url)))
    };
    let url = || Some("https://a.example/x".to_owned());
    assert_eq!(read(|_| ()), Ok((false, None)));
    let inline = read(|main| main["algorithm"]["rawcode"] = json!("x"));
    assert_eq!(inline, Ok((true, None)));
    let in_file = read(|main| main["files"] = json!([{"url": "https://a.example/x"}]));
    assert_eq!(in_file, Ok((false, url())));
    // beside a file that can be read, encrypted ones are its other form (OEP-7)
    let both = read(|main| {
        main["files"] = json!([{"url": "https://a.example/x"}]);
        main["encryptedFiles"] = json!("0xab");
    });
    assert_eq!(both, Ok((false, url())));
    let encrypted = read(|main| main["encryptedFiles"] = json!("0xab"));
    assert_eq!(encrypted, Err(BadDocument::Lacks(NO_ADDRESS)));
    let without = read(|main| main["files"] = json!([{"index": 0}]));
    assert_eq!(without, Err(BadDocument::Lacks(NO_ADDRESS)));
}

#[test]
fn the_first_metadata_service_counts_and_only_two_kinds_are_read() {
    let ddo = |main: &str, kind: &str| {
        let ddo = json!({"service": [{"type": "access", "attributes": {"main": 5}},
            {"type": kind, "attributes": {"main": {"type": main}}},
            {"type": "metadata", "attributes": {"main": {"type": "dataset"}}}]});
        Ddo::parse(&serde_json::to_vec(&ddo).unwrap()).unwrap()
    };
    assert!(ddo("workflow", "metadata").is_workflow());
    assert!(!ddo("workflow", "provenance").is_workflow());
    assert!(!ddo("algorithm", "metadata").is_workflow());
}

#[test]
fn only_checksums_that_cannot_be_forged_count() {
    let hex = "ab".repeat(32);
    let hash = hex.parse().unwrap();
    let prefixed = format!("sha256:{hex}");
    let cases = [
        (
            (Some(prefixed.as_str()), None),
            Ok(Some(Checksum::Sha256(hash))),
        ),
        (
            (Some(hex.as_str()), Some("sha256")),
            Ok(Some(Checksum::Sha256(hash))),
        ),
        (
            (Some(hex.as_str()), Some("SHA-256")),
            Ok(Some(Checksum::Sha256(hash))),
        ),
        (
            (Some(hex.as_str()), Some("Keccak256")),
            Ok(Some(Checksum::Keccak256(hash))),
        ),
        ((Some(hex.as_str()), None), Ok(None)),
        (
            (Some("d41d8cd98f00b204e9800998ecf8427e"), Some("MD5")),
            Ok(None),
        ),
        ((Some(""), Some("sha256")), Ok(None)),
        (
            (Some("12"), Some("sha256")),
            Err(BadDocument::Malformed("file checksum")),
        ),
    ];
    for ((text, kind), expected) in cases {
        assert_eq!(checksum(text, kind), expected, "{text:?} {kind:?}");
    }
}
