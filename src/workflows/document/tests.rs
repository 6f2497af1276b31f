use alloy::primitives::B256;
use serde_json::{Value, json};

use super::*;

fn document() -> Value {
    json!({"main": {"type": "workflow", "workflow": {"stages": [{
        "index": 0,
        "input": [{"index": 0, "id": Did(B256::repeat_byte(1))}],
        "transformation": {"rawcode": "print(1)", "container": {
            "image": "python", "tag": "3.12",
            "checksum": format!("sha256:{}", "ab".repeat(32)), "entrypoint": "python $ALGO"}},
        "requirements": {"cpu": 1, "memory": "512Mi", "maxExecutionSeconds": 600},
        "output": {"anything": [1, 2]}}]}},
        "agreementId": B256::repeat_byte(2)})
}

fn parse(document: &Value) -> Result<Document, BadDocument> {
    Document::parse(&serde_json::to_vec(document).unwrap())
}

#[test]
fn a_document_and_a_whole_ddo_say_the_same() {
    let plain = document();
    let read = parse(&plain).unwrap();
    assert_eq!(read.agreement, Some(AgreementId(B256::repeat_byte(2))));
    assert_eq!(read.inputs, [Did(B256::repeat_byte(1))]);
    assert_eq!(read.requirements.max_execution_seconds, Some(600));
    let Transformation::Given(given) = &read.transformation else {
        panic!("{read:?}");
    };
    assert_eq!(given.image.name, "docker.io/library/python");
    assert_eq!(given.image.tag.as_deref(), Some("3.12"));

    let ddo = json!({"@context": "https://w3id.org/did/v1", "service": [
        {"type": "access", "attributes": {"main": 5}},
        {"type": "metadata", "attributes": {"main": plain["main"], "agreementId": plain["agreementId"]}}]});
    assert_eq!(parse(&ddo).unwrap(), read);
}

#[test]
fn a_ddo_names_its_agreement_beside_or_within_its_service() {
    let plain = document();
    let named = |beside: Option<u8>, within: Option<u8>| {
        let id = |fill: Option<u8>| json!(fill.map(B256::repeat_byte));
        let ddo = json!({"agreementId": id(beside), "service": [{"type": "metadata",
            "attributes": {"main": plain["main"], "agreementId": id(within)}}]});
        parse(&ddo).map(|read| read.agreement)
    };
    let two = Some(AgreementId(B256::repeat_byte(2)));
    assert_eq!(named(Some(2), Some(2)), Ok(two));
    assert_eq!(named(Some(2), None), Ok(two));
    assert_eq!(named(None, Some(2)), Ok(two));
    assert_eq!(named(None, None), Ok(None));
    let contradiction = Err(BadDocument::Contradicts("its agreement"));
    assert_eq!(named(Some(2), Some(3)), contradiction);
}

#[test]
fn oep_12s_maxtime_is_seconds() {
    let mut changed = document();
    let stage = &mut changed["main"]["workflow"]["stages"][0];
    stage["requirements"] = json!({"maxtime": 60});
    assert_eq!(
        parse(&changed).unwrap().requirements.max_execution_seconds,
        Some(60)
    );
    changed["main"]["workflow"]["stages"][0]["compute"] = json!({"maxtime": 61});
    assert_eq!(
        parse(&changed),
        Err(BadDocument::Contradicts("the time it may run"))
    );
}

#[test]
fn malformed_documents_are_refused_in_our_own_words() {
    const STAGE: &str = "/main/workflow/stages/0";
    let changes = [
        ("/main/type", json!("dataset"), "lacks a main.type"),
        (
            "/main/workflow/stages",
            json!([]),
            "lacks exactly one stage",
        ),
        (
            "/main/workflow/stages",
            json!([{}, {}]),
            "lacks exactly one stage",
        ),
        ("S/transformation", json!({}), "lacks an algorithm"),
        (
            "S/transformation",
            json!({"id": Did(B256::ZERO), "rawcode": ""}),
            "contradicts itself about its algorithm",
        ),
        (
            "S/transformation/container/checksum",
            json!("sha256:AB"),
            "checksum is malformed",
        ),
        (
            "S/transformation/container/image",
            json!("python:2"),
            "contradicts itself about tag",
        ),
        (
            "S/transformation/container/image",
            json!("<b>evil</b>"),
            "image is malformed",
        ),
        (
            "S/transformation/container/entrypoint",
            json!(" "),
            "entrypoint is malformed",
        ),
        ("S/requirements/cpu", json!("evil"), "is not a workflow"),
        ("S/requirements/memory", json!(0), "above zero"),
        ("S/input", json!([{"id": "evil"}]), "is not a workflow"),
    ];
    for (pointer, value, expected) in changes {
        let mut changed = document();
        *changed.pointer_mut(&pointer.replace('S', STAGE)).unwrap() = value;
        let sentence = parse(&changed).unwrap_err().to_string();
        assert!(sentence.contains(expected), "{sentence}");
        assert!(!sentence.contains("evil"), "{sentence}");
    }
}

#[test]
fn what_is_not_plain_json_is_refused() {
    let twice = br#"{"main":{"type":"workflow"},"main":{"type":"workflow"}}"#;
    for bytes in [twice.as_slice(), b"\xff", b""] {
        let refused = Document::parse(bytes);
        assert!(
            matches!(refused, Err(BadDocument::NotJson { .. })),
            "{refused:?}"
        );
    }
}

#[test]
fn an_image_may_say_its_tag_and_digest_twice_if_it_says_the_same() {
    let said = |image: &str| {
        let mut document = document();
        let stage = &mut document["main"]["workflow"]["stages"][0];
        stage["transformation"]["container"]["image"] = json!(image);
        parse(&document).map(|read| read.transformation)
    };
    let [digest, other] = ["ab", "cd"].map(|byte| format!("sha256:{}", byte.repeat(32)));
    let once = said("python").unwrap();
    assert_eq!(said("python:3.12"), Ok(once.clone()));
    assert_eq!(said(&format!("python@{digest}")), Ok(once));
    let contradiction = |what| Err(BadDocument::Contradicts(what));
    assert_eq!(said("python:3.11"), contradiction("tag"));
    assert_eq!(said(&format!("python@{other}")), contradiction("checksum"));
}

#[test]
fn a_document_may_have_512_kib_and_not_a_byte_more() {
    let mut bytes = serde_json::to_vec(&document()).unwrap();
    bytes.resize(524_288, b' ');
    assert!(Document::parse(&bytes).is_ok());
    bytes.push(b' ');
    assert_eq!(Document::parse(&bytes), Err(BadDocument::TooLarge));
}
