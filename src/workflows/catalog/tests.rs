use alloy::primitives::B256;

use super::*;

const EXAMPLE: &str = r#"
schemaVersion: 1
policy:
  payees: ["0x1111111111111111111111111111111111111111"]
  images: ["docker.io/library/python", "registry.example/algorithms/"]
  resources: {cpu: "1", memory: 1Gi, disk: 2Gi, maxExecutionSeconds: 3600}
  release: {results: raw, logs: vetted, review: false, resultBytes: 1Gi, resultFiles: 1000, logBytes: 16Mi}
assets:
  - did: "did:op:0101010101010101010101010101010101010101010101010101010101010101"
    enabled: true
    minimumPrice: "10"
    files:
      - {url: "https://data.example/a.csv", checksum: "sha256:abababababababababababababababababababababababababababababababab", contentType: text/csv}
      - {url: "file:///srv/b.csv"}
    privacy: {allowRawAlgorithm: true, trustedAlgorithms: [], allowNetworkAccess: false}
    release: {results: none, logs: raw}
    resources: {memory: 2Gi}
    workflow:
      main:
        type: workflow
        workflow:
          stages:
            - index: 0
              transformation:
                rawcode: |
                  print(1)
                container: {image: python, tag: "3.12", checksum: "sha256:abababababababababababababababababababababababababababababababab", entrypoint: python $ALGO}
              requirements: {cpu: 0.5, maxExecutionSeconds: 600}
              output: {}
"#;

fn refused(change: (&str, &str)) -> String {
    assert!(EXAMPLE.contains(change.0), "{}", change.0);
    let text = EXAMPLE.replacen(change.0, change.1, 1);
    Catalog::parse(text.as_bytes()).unwrap_err().to_string()
}

#[test]
fn every_key_means_what_it_says() {
    let catalog = Catalog::parse(EXAMPLE.as_bytes()).unwrap();
    assert_eq!(catalog.payees, Some(vec![Address::repeat_byte(0x11)]));
    let asset = catalog.find(Did(B256::repeat_byte(1))).unwrap();
    assert!(asset.enabled && asset.allow_raw_algorithm && !asset.allow_network_access);
    assert_eq!(asset.minimum_price, U256::from(10));
    assert_eq!(asset.files[1].url, "file:///srv/b.csv");
    assert_eq!(asset.files[1].index, 1);
    assert_eq!(asset.ceilings.memory.as_str(), "2Gi");
    assert_eq!(asset.ceilings.disk.as_str(), "2Gi");
    assert_eq!(asset.release.results, Release::None);
    assert_eq!(asset.release.logs, Some(Release::Raw));
    assert_eq!(asset.release.log_bytes, 16 << 20);
    let workflow = asset.workflow.as_ref().unwrap();
    assert_eq!(workflow.requirements.max_execution_seconds, Some(600));
    assert_eq!(
        workflow.requirements.cpu.as_ref().map(Quantity::as_str),
        Some("0.5")
    );
    assert_eq!(catalog.assets().count(), 1);
    assert!(Catalog::empty().find(Did(B256::repeat_byte(1))).is_none());
}

#[test]
fn defaults_deny() {
    let text = "assets: [{did: '0101010101010101010101010101010101010101010101010101010101010101', minimumPrice: 0}]";
    let catalog = Catalog::parse(text.as_bytes()).unwrap();
    let asset = catalog.find(Did(B256::repeat_byte(1))).unwrap();
    assert!(asset.enabled && !asset.allow_raw_algorithm && !asset.allow_network_access);
    assert!(asset.images.is_empty() && asset.workflow.is_none());
    assert_eq!(asset.release.logs, None);
    assert_eq!(asset.ceilings.max_execution_seconds, 3600);
}

#[test]
fn unknown_keys_are_named_with_their_line_and_the_nearest_known_one() {
    let cases = [
        (
            ("minimumPrice: \"10\"", "minimumPrise: \"10\""),
            "line 11: unknown key `minimumPrise`, did you mean `minimumPrice`?",
        ),
        (
            ("allowRawAlgorithm", "allowRawAlgoritm"),
            "line 15: unknown key `allowRawAlgoritm`, did you mean `allowRawAlgorithm`?",
        ),
        (("policy:", "zzz:"), "line 3: unknown key `zzz`"),
        (
            ("tag: \"3.12\"", "tagg: \"3.12\""),
            "line 27: unknown key `tagg`, did you mean `tag`?",
        ),
    ];
    for (change, sentence) in cases {
        assert_eq!(refused(change), sentence);
    }
}

#[test]
fn what_comes_later_is_refused_rather_than_ignored() {
    let cases = [
        ("review: false", "review: true"),
        ("results: raw", "results: raw, logBytes: 1, review: true"),
        ("logs: raw", "logs: filtered"),
        ("results: none", "results: filtered"),
        ("contentType: text/csv", "secret: source"),
        (
            "    resources: {memory: 2Gi}",
            "    filter: {image: python}",
        ),
        (
            "  images:",
            "  documentOrigins: ['https://aquarius.example']\n  images:",
        ),
    ];
    for change in cases {
        let sentence = refused(change);
        let known = sentence.ends_with("is not supported yet") || sentence.contains("duplicate");
        assert!(known, "{change:?}: {sentence}");
    }
}

#[test]
fn values_without_sense_are_refused() {
    let cases = [
        (("schemaVersion: 1", "schemaVersion: 2"), "schemaVersion"),
        (
            ("[\"0x1111111111111111111111111111111111111111\"]", "[]"),
            "payees",
        ),
        (("minimumPrice: \"10\"", "minimumPrice: -1"), "line 11"),
        (
            ("minimumPrice: \"10\"", "minimumPrice: \"0x10\""),
            "decimal digits",
        ),
        (("    minimumPrice: \"10\"\n", ""), "minimumPrice"),
        (("https://data", "ftp://data"), "file 0"),
        (("sha256:abab", "sha256:ABAB"), "checksum of file 0"),
        (("docker.io/library/python", "python:3.12"), "images"),
        (("memory: 2Gi", "memory: 2GB"), "line"),
        (("memory: 2Gi", "memory: 0"), "ceiling of nothing"),
        (
            ("enabled: true", "enabled: true\n    enabled: false"),
            "line 11",
        ),
        (("type: workflow", "type: dataset"), "workflow of did:op:"),
        (("did:op:01", "did:op:zz"), "did:op:"),
    ];
    for (change, part) in cases {
        let sentence = refused(change);
        assert!(sentence.contains(part), "{change:?}: {sentence}");
    }
    assert!(Catalog::parse(b"\xff").is_err());
    let twice = EXAMPLE.replacen("assets:\n", "assets:\n  - {did: '0101010101010101010101010101010101010101010101010101010101010101', minimumPrice: 1}\n", 1);
    assert!(
        Catalog::parse(twice.as_bytes())
            .unwrap_err()
            .to_string()
            .contains("stands twice")
    );
}
