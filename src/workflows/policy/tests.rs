use alloy::primitives::B256;

use super::*;
use crate::workflows::{Catalog, Code};

const DID: Did = Did(B256::repeat_byte(1));
const OTHER: Did = Did(B256::repeat_byte(2));

fn asset(keys: &str) -> Asset {
    let text = format!(
        "policy: {{images: [python]}}\nassets: [{{did: '{DID}', minimumPrice: 1, {keys}}}]"
    );
    let catalog = Catalog::parse(text.as_bytes()).unwrap();
    catalog.find(DID).unwrap().clone()
}

fn given(code: Option<usize>) -> GivenAlgorithm {
    GivenAlgorithm {
        code: code.map(|bytes| Code::new(vec![b'x'; bytes])),
        image: "python:3.12".parse().unwrap(),
        entrypoint: "python $ALGO".to_owned(),
    }
}

fn reason<T>(answer: Result<T, Refusal>) -> Option<Reason> {
    answer.err().map(|refusal| refusal.reason)
}

#[test]
fn a_document_reads_the_agreements_own_asset_once_or_leaves_it_unsaid() {
    for (read, allowed) in [
        (vec![], true),
        (vec![DID], true),
        (vec![OTHER], false),
        (vec![DID, DID], false),
        (vec![DID, OTHER], false),
    ] {
        let mut document = Document::of(crate::workflows::Transformation::Named(OTHER));
        document.inputs.clone_from(&read);
        let expected = (!allowed).then_some(Reason::ForeignInput);
        assert_eq!(reason(inputs(&document, DID)), expected, "{read:?}");
    }
}

#[test]
fn the_network_is_given_only_where_both_want_it() {
    let mut document = Document::of(crate::workflows::Transformation::Named(OTHER));
    let open = asset("privacy: {allowNetworkAccess: true}");
    let closed = asset("");
    assert_eq!(reason(network(&document, &closed)), None);
    document.requirements.network = true;
    assert_eq!(reason(network(&document, &open)), None);
    let refused = Some(Reason::NetworkNotAllowed);
    assert_eq!(reason(network(&document, &closed)), refused);
}

/// What may run, before it is known what it is made of. The columns: an algorithm of a trusted DID, of another DID, and raw
/// code, each named by the consumer; the publisher's own catalog may name anything.
#[test]
fn silence_is_no_trust() {
    let by_hash = format!(
        "{{file: 'sha256:{0}', container: 'sha256:{0}', entrypoint: x}}",
        "ab".repeat(32)
    );
    let (no_trust, no_raw) = (
        Some(Reason::AlgorithmNotTrusted),
        Some(Reason::RawAlgorithmNotAllowed),
    );
    let cases = [
        ("{}".to_owned(), [no_trust, no_trust, no_raw]),
        ("{allowRawAlgorithm: true}".to_owned(), [None, None, None]),
        (
            format!("{{trustedAlgorithms: ['{DID}']}}"),
            [None, no_trust, no_raw],
        ),
        (
            format!("{{allowRawAlgorithm: true, trustedAlgorithms: ['{DID}']}}"),
            [None, no_trust, no_trust],
        ),
        (
            format!("{{allowRawAlgorithm: true, trustedAlgorithms: [{by_hash}]}}"),
            [no_trust, no_trust, None],
        ),
        (
            format!("{{allowRawAlgorithm: true, trustedAlgorithms: ['{DID}', {by_hash}]}}"),
            [None, no_trust, None],
        ),
    ];
    for (privacy, expected) in cases {
        let asset = asset(&format!("privacy: {privacy}"));
        for source in [Source::Consumer, Source::Asset, Source::Service] {
            let answers = [
                reason(may_be_named(DID, &asset, source)),
                reason(may_be_named(OTHER, &asset, source)),
                reason(may_be_raw(&asset, source)),
            ];
            assert_eq!(answers, expected, "{privacy} {source:?}");
        }
        let own = Source::Catalog;
        assert_eq!(reason(may_be_named(OTHER, &asset, own)), None, "{privacy}");
        assert_eq!(reason(may_be_raw(&asset, own)), None, "{privacy}");
    }
}

#[test]
fn code_may_be_as_large_as_it_can_travel_and_not_a_byte_larger() {
    let asset = asset("");
    for (size, expected) in [
        (None, None),
        (Some(524_288), None),
        (Some(524_289), Some(Reason::AlgorithmTooLarge)),
    ] {
        assert_eq!(reason(container(&given(size), &asset)), expected);
    }
}

#[test]
fn an_image_is_named_by_its_tag_or_digest_or_both() {
    let asset = asset("");
    let digest = format!("sha256:{}", "ab".repeat(32));
    for (image, expected) in [
        ("python:3.12".to_owned(), None),
        (format!("python@{digest}"), None),
        (format!("python:3.12@{digest}"), None),
        ("python".to_owned(), Some(Reason::DigestMissing)),
        ("other:3.12".to_owned(), Some(Reason::ImageNotAllowed)),
    ] {
        let mut named = given(None);
        named.image = image.parse().unwrap();
        assert_eq!(reason(container(&named, &asset)), expected, "{image}");
    }
}

#[test]
fn a_ceiling_may_be_reached_and_not_passed() {
    let ceilings =
        asset("resources: {cpu: '2', memory: 1Gi, disk: 3Gi, maxExecutionSeconds: 60}").ceilings;
    let asking = |key: &str, value: &str| {
        let quantity = || Some(value.parse().unwrap());
        let mut asked = Requirements::default();
        match key {
            "cpu" => asked.cpu = quantity(),
            "memory" => asked.memory = quantity(),
            "disk" => asked.disk = quantity(),
            "gpu" => asked.gpu = quantity(),
            _ => asked.max_execution_seconds = value.parse().ok(),
        }
        resources(&asked, &ceilings)
    };
    for (key, at_most, too_much) in [
        ("cpu", "2000m", "2001m"),
        ("memory", "1024Mi", "1025Mi"),
        ("disk", "3Gi", "3073Mi"),
        ("gpu", "0", "1"),
        ("seconds", "60", "61"),
    ] {
        assert_eq!(reason(asking(key, at_most)), None, "{key}");
        let refused = Some(Reason::ResourcesExceeded);
        assert_eq!(reason(asking(key, too_much)), refused, "{key}");
    }
    let least = asking("cpu", "500m").unwrap();
    assert_eq!((least.cpu.as_str(), least.memory.as_str()), ("500m", "1Gi"));
    assert_eq!(
        (least.disk.as_str(), least.max_execution_seconds),
        ("3Gi", 60)
    );
}
