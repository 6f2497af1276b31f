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
fn trusted_algorithms_are_named_by_did_or_by_what_they_are_made_of() {
    let (did, hash) = (
        "0202020202020202020202020202020202020202020202020202020202020202",
        "ab".repeat(32),
    );
    let list = format!(
        "trustedAlgorithms: ['did:op:{did}', {{did: '{did}', file: 'sha256:{hash}'}}, \
         {{container: 'sha256:{hash}', entrypoint: 'python $ALGO', file: 'sha256:{hash}'}}]"
    );
    let text = EXAMPLE.replacen("trustedAlgorithms: []", &list, 1);
    let catalog = Catalog::parse(text.as_bytes()).unwrap();
    let trusted = &catalog
        .find(Did(B256::repeat_byte(1)))
        .unwrap()
        .trusted_algorithms;
    let (did, file) = (
        Some(Did(B256::repeat_byte(2))),
        Some(B256::repeat_byte(0xab)),
    );
    let container = Some(format!("sha256:{hash}"));
    let entry = |did, file, container, entrypoint: Option<&str>| TrustedAlgorithm {
        did,
        file,
        container,
        entrypoint: entrypoint.map(str::to_owned),
    };
    assert_eq!(
        *trusted,
        [
            entry(did, None, None, None),
            entry(did, file, None, None),
            entry(None, file, container, Some("python $ALGO")),
        ]
    );
}

#[test]
fn origins_are_compared_as_browsers_compare_them() {
    let change = "  documentOrigins: ['https://Aquarius.example:443/']\n  images:";
    let text = EXAMPLE.replacen("  images:", change, 1);
    let catalog = Catalog::parse(text.as_bytes()).unwrap();
    assert_eq!(
        catalog.document_origins().collect::<Vec<_>>(),
        ["https://aquarius.example"]
    );
    assert!(catalog.trusts_origin_of("https://aquarius.example/api/x"));
    for other in [
        "http://aquarius.example/",
        "https://aquarius.example:444/",
        "https://aquarius.example.evil/",
        "https://aquarius.example@evil/",
        "ipfs://aquarius.example",
        "aquarius.example",
    ] {
        assert!(!catalog.trusts_origin_of(other), "{other}");
    }
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
            ("trustedAlgorithms: []", "trustedAlgorithms: [{fil: x}]"),
            "line 15: unknown key `fil`, did you mean `file`?",
        ),
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
fn what_is_filtered_needs_a_filter_and_a_filter_must_be_pinned() {
    let cases = [
        (("logs: raw", "logs: filtered"), "no filter"),
        (("results: none", "results: filtered"), "no filter"),
        (
            (
                "    resources: {memory: 2Gi}",
                "    filter: {image: python}",
            ),
            "not pinned",
        ),
        (
            ("contentType: text/csv", "secret: \"Not a name\""),
            "secret of file 0",
        ),
    ];
    for (change, part) in cases {
        let sentence = refused(change);
        assert!(sentence.contains(part), "{change:?}: {sentence}");
    }
}

#[test]
fn a_filter_that_nothing_is_said_about_is_there_for_results_and_logs() {
    let digest = format!("sha256:{}", "f".repeat(64));
    let text = format!(
        "assets:
  - did: did:op:{}
    minimumPrice: \"1\"
    filter: {{image: registry.test/filter, checksum: \"{digest}\", entrypoint: /bin/filter}}
    release: {{review: true}}
    files: [{{url: s3://bucket/data, secret: keys}}]
",
        "0d".repeat(32)
    );
    let catalog = Catalog::parse(text.as_bytes()).unwrap();
    let (_, asset) = catalog.assets().next().unwrap();
    let filter = asset.filter.clone().unwrap();
    assert_eq!(filter.image, format!("registry.test/filter@{digest}"));
    assert_eq!(filter.entrypoint.as_deref(), Some("/bin/filter"));
    assert_eq!(asset.release.results, Release::Filtered);
    assert_eq!(asset.release.logs, Some(Release::Filtered));
    assert!(asset.release.review);
    assert_eq!(asset.files[0].secret.as_deref(), Some("keys"));
    // 1 GiB, 1,000 files and 16 MiB where nobody says anything.
    let release = &asset.release;
    let caps = (
        release.result_bytes,
        release.result_files,
        release.log_bytes,
    );
    assert_eq!(caps, (1_073_741_824, 1000, 16_777_216));
}

#[test]
fn a_filter_is_pinned_once_or_twice_the_same() {
    let [one, other] = ["e", "f"].map(|digit| format!("sha256:{}", digit.repeat(64)));
    let filter = |image: &str, checksum: Option<&str>, tag: &str| file::Filter {
        image: format!("registry.test/filter{image}"),
        checksum: checksum.map(ToOwned::to_owned),
        tag: Some(tag.to_owned()),
        entrypoint: None,
    };
    let named = format!("@{one}");
    let did = Did(B256::ZERO);
    for (image, checksum) in [("", Some(&*one)), (&*named, None), (&*named, Some(&*one))] {
        let spec = filter_of(did, filter(image, checksum, "1.2")).unwrap();
        assert_eq!(spec.image, format!("registry.test/filter@{one}"));
    }
    for (refused, part) in [
        (filter(&named, Some(&other), "1.2"), "two different digests"),
        (filter("", None, "1.2"), "not pinned"),
        (filter("", Some("sha256:ee"), "1.2"), "not pinned"),
        (filter(&named, None, "-1"), "tag"),
    ] {
        let told = filter_of(did, refused).unwrap_err().to_string();
        assert!(told.contains(part), "{told}");
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
        (
            (
                "  images:",
                "  documentOrigins: ['http://aquarius.example']\n  images:",
            ),
            "documentOrigins",
        ),
        (
            (
                "  images:",
                "  documentOrigins: ['https://a.example/ddo']\n  images:",
            ),
            "documentOrigins",
        ),
        (
            (
                "trustedAlgorithms: []",
                "trustedAlgorithms: [{container: 'sha256:1'}]",
            ),
            "did:op:0101",
        ),
        (
            ("trustedAlgorithms: []", "trustedAlgorithms: [{}]"),
            "trustedAlgorithms",
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

#[test]
fn each_part_of_an_origin_or_of_a_trusted_entry_must_be_right_by_itself() {
    for origin in [
        "http://aquarius.example",
        "https://user@aquarius.example",
        "https://:secret@aquarius.example",
        "https://aquarius.example/ddo",
        "https://aquarius.example/?a=b",
        "https://aquarius.example/#a",
        "aquarius.example",
    ] {
        let change = format!("  documentOrigins: ['{origin}']\n  images:");
        let told = refused(("  images:", &change));
        assert!(told.contains("documentOrigins"), "{told}");
    }
    let (did, hash) = (format!("did:op:{}", "02".repeat(32)), "ab".repeat(32));
    for entry in [
        format!("{{did: '{did}', file: '{hash}'}}"),
        format!("{{did: '{did}', container: '{hash}'}}"),
        format!("{{container: 'sha256:{hash}'}}"),
        "{entrypoint: run}".to_owned(),
        "{}".to_owned(),
    ] {
        let list = format!("trustedAlgorithms: [{entry}]");
        let told = refused(("trustedAlgorithms: []", &list));
        assert!(told.contains("trustedAlgorithms"), "{entry}: {told}");
    }
}

#[test]
fn a_catalog_may_have_16_mib_and_not_a_byte_more() {
    let mut bytes = b"assets: []\n#".to_vec();
    bytes.resize(16_777_216, b'#');
    let told = Catalog::parse(&bytes);
    assert!(!matches!(told, Err(BadCatalog::TooLarge)));
    bytes.push(b'#');
    let told = Catalog::parse(&bytes).unwrap_err();
    assert!(matches!(told, BadCatalog::TooLarge), "{told}");
}

#[test]
fn a_secret_is_named_as_kubernetes_names_are() {
    let longest = "a".repeat(253);
    for name in ["keys", "a-b", "a--b", "0.b-1.c", &longest] {
        assert!(is_secret_name(name), "{name}");
    }
    let longer = format!("{longest}a");
    for name in [
        "", "a_b", "A", "-a", "a-", "a..b", ".a", "a.", "a/b", "é", &longer,
    ] {
        assert!(!is_secret_name(name), "{name}");
    }
}
