//! Azure's blob service, Microsoft's own emulator of it: results go there, and inputs come from there by the publisher's keys.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::{configure, mount, publish, sha256};

const CONTAINER: &str = "bucket";

/// The server, which ends with its standard input, and so with this.
struct Azure {
    _server: Child,
    told: Value,
}

impl Azure {
    fn start() -> Self {
        let serve = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/equipment/azure/serve");
        let mut server = Command::new(serve)
            .arg(CONTAINER)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let output = server.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        assert!(
            !line.is_empty(),
            "tests/equipment/azure/serve came to nothing"
        );
        Self {
            _server: server,
            told: serde_json::from_str(&line).unwrap(),
        }
    }

    /// Mounts its options with that key.
    fn mount(&self, key: &str, directory: &Path) {
        let options = [
            ("AZURE_STORAGE_ACCOUNT_NAME", self.of("account")),
            ("AZURE_STORAGE_ACCOUNT_KEY", key),
            ("AZURE_ENDPOINT", self.of("endpoint")),
            ("AZURE_ALLOW_HTTP", "true"),
        ];
        mount(&options, directory);
    }

    fn of(&self, what: &str) -> &str {
        self.told[what].as_str().unwrap()
    }
}

#[tokio::test]
async fn results_go_to_azure_and_inputs_come_from_there() {
    let azure = tokio::task::spawn_blocking(Azure::start).await.unwrap();
    let mut case = publish::Case::new();
    azure.mount(azure.of("key"), &case.credentials());
    case.plan["resultsUrl"] = json!(format!("az://{CONTAINER}/of/the/publisher"));
    // More than one block, and not a whole number of them.
    let large: Vec<u8> = (0..20_000_003_u32)
        .map(|number| number.to_le_bytes()[1])
        .collect();
    case.write("large", &large);
    case.write("sub/small, with a space", b"small");
    let first = case.publish();
    assert_eq!(
        (&first["files"], &first["bytes"]),
        (&json!(2), &json!(20_000_008))
    );
    case.write("late", b"late");
    assert_eq!(case.publish(), first, "published once is published");

    let results = format!("az://{CONTAINER}/of/the/publisher/{}/1", publish::JOB);
    let input = |index: u32, path: &str, sum: Option<&Value>, secret: Option<&str>| json!({"index": index, "url": format!("{results}/{path}"), "sha256": sum, "secret": secret});
    let reader = configure::Case::new();
    azure.mount(azure.of("key"), &reader.secret("publisher"));
    azure.mount(
        &azure.of("key").replace(['a', 'b', 'c'], "d"),
        &reader.secret("wrong"),
    );
    let sum = json!(sha256(&large));
    let inputs = [
        input(0, "outputs/large", Some(&sum), Some("publisher")),
        input(
            1,
            "manifest.json",
            Some(&first["manifestSha256"]),
            Some("publisher"),
        ),
    ];
    let (output, message) = reader.fetch(&inputs, 30_000_000).await;
    assert_eq!(output.status.code(), Some(0), "{message}");
    assert!(std::fs::read(reader.input(0)).unwrap() == large);

    for (secret, said) in [
        (Some("wrong"), "refuses it with these keys"),
        (None, "cannot be used with this address and these options"),
    ] {
        let refused = [input(2, "outputs/large", None, secret)];
        let (output, message) = reader.fetch(&refused, 30_000_000).await;
        assert_ne!(output.status.code(), Some(0), "{message}");
        let detail = message["detail"].as_str().unwrap();
        assert!(detail.contains(said), "{secret:?}: {message}");
        assert!(
            !detail.contains("publisher"),
            "an address is secret: {message}"
        );
    }
}
