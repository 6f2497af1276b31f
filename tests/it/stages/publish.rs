use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::{mount, sha256, stage, text};

pub(super) const JOB: &str = "job-000102030405060708090a0b0c0d0e0f";
const LOG: &[u8] = b"epoch 1\n\xff\x00\nno newline at the end";

/// A volume as the guard leaves it, and somewhere to publish to.
pub(super) struct Case {
    directory: tempfile::TempDir,
    url: String,
    pub(super) plan: Value,
}

impl Case {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for name in ["data/outputs", "data/record", "credentials"] {
            std::fs::create_dir_all(path(name)).unwrap();
        }
        std::fs::write(path("data/record/log"), LOG).unwrap();
        let ending = json!({"stage": "algorithm", "exitCode": 0, "signal": null, "reason": null,
            "log": {"bytes": LOG.len(), "sha256": sha256(LOG), "completeness": "complete"}});
        std::fs::write(path("data/record/ending.json"), ending.to_string()).unwrap();
        let url = format!("file://{}", text(&path("results")));
        let plan = json!({"job": JOB, "attempt": 1, "resultsUrl": url, "results": "raw", "logs": "raw",
            "resultBytes": 100_000_000, "resultFiles": 100, "logBytes": 100});
        Self {
            directory,
            url,
            plan,
        }
    }

    fn output(&self, name: &str) -> PathBuf {
        self.directory.path().join("data/outputs").join(name)
    }

    pub(super) fn credentials(&self) -> PathBuf {
        self.directory.path().join("credentials")
    }

    pub(super) fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.output(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn run_with(&self, flags: &[&str]) -> (Output, Value) {
        let path = |name: &str| self.directory.path().join(name);
        let (data, credentials) = (path("data"), self.credentials());
        let plan = self.plan.to_string();
        let mut arguments = vec!["publish", "--plan", &plan, "--data", text(&data)];
        arguments.extend(["--credentials", text(&credentials)]);
        arguments.extend(flags);
        stage(&arguments, &path("message"))
    }

    fn run(&self) -> (Output, Value) {
        self.run_with(&["--allow-file"])
    }

    /// Runs it to success, and answers what it handed over.
    pub(super) fn publish(&self) -> Value {
        let (output, message) = self.run();
        assert_eq!(output.status.code(), Some(0), "{message}");
        assert_eq!(output.stdout, b"", "a pod's log is no way out");
        assert_eq!(output.stderr, b"");
        assert_eq!(message["stage"], "publish");
        message["published"].clone()
    }

    fn stored(&self, key: &str) -> PathBuf {
        self.directory.path().join("results").join(key)
    }

    fn manifest(&self) -> Value {
        let bytes = std::fs::read(self.stored(&format!("{JOB}/1/manifest.json"))).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }
}

fn paths(files: &Value) -> Vec<&str> {
    let files = files.as_array().unwrap();
    files
        .iter()
        .map(|file| file["path"].as_str().unwrap())
        .collect()
}

#[test]
fn results_are_stored_with_a_manifest_and_the_log_beside_them() {
    let case = Case::new();
    case.write("model.json", b"{}");
    case.write("deep/er/rows%2F.csv", b"1,2\n");
    case.write("empty", b"");
    let published = case.publish();
    let manifest = std::fs::read(case.stored(&format!("{JOB}/1/manifest.json"))).unwrap();
    assert_eq!(
        published,
        json!({"manifestKey": format!("{JOB}/1/manifest.json"), "manifestSha256": sha256(&manifest), "files": 3, "bytes": 6,
            "log": {"bytes": LOG.len(), "sha256": sha256(LOG), "completeness": "complete"}})
    );
    let file = |path: &str, bytes: &[u8], media_type: &str| json!({"path": path, "size": bytes.len(), "sha256": sha256(bytes), "mediaType": media_type});
    assert_eq!(
        case.manifest()["files"],
        json!([
            file("deep/er/rows%2F.csv", b"1,2\n", "text/csv"),
            file("empty", b"", "application/octet-stream"),
            file("model.json", b"{}", "application/json"),
        ])
    );
    let stored = |name: &str| std::fs::read(case.stored(&format!("{JOB}/1/{name}"))).unwrap();
    assert_eq!(stored("outputs/model.json"), b"{}");
    assert_eq!(stored("record/algorithm"), LOG);
    assert_eq!(case.manifest()["log"], published["log"]);
}

#[test]
fn what_the_filter_left_is_published_and_nothing_else() {
    let mut case = Case::new();
    (case.plan["results"], case.plan["logs"]) = (json!("filtered"), json!("filtered"));
    case.plan["logBytes"] = json!(8);
    case.write("raw", b"raw");
    let filtered = case.directory.path().join("data/filtered");
    std::fs::create_dir_all(filtered.join("outputs")).unwrap();
    std::fs::create_dir_all(filtered.join("logs")).unwrap();
    std::fs::write(filtered.join("outputs/fine"), b"fine").unwrap();
    std::fs::write(filtered.join("logs/log"), b"epoch 1\nepoch 2\n").unwrap();
    let published = case.publish();
    let kept = json!({"bytes": 8, "sha256": sha256(b"epoch 1\n"), "completeness": "truncated"});
    assert_eq!(published["filteredLog"], kept);
    assert_eq!(
        published["log"]["sha256"],
        sha256(LOG),
        "operators have the record"
    );
    assert_eq!(case.publish(), published, "published once is published");
    let manifest = case.manifest();
    assert_eq!(paths(&manifest["files"]), ["fine"]);
    assert_eq!(manifest["log"], kept);
    let stored = case.stored(&format!("{JOB}/1/record/filter"));
    assert_eq!(std::fs::read(stored).unwrap(), b"epoch 1\n");
}

#[test]
fn inputs_are_deleted_since_nobody_needs_them_any_more() {
    use std::os::unix::fs::PermissionsExt;
    let case = Case::new();
    let inputs = case.directory.path().join("data/inputs");
    std::fs::create_dir_all(inputs.join("asset")).unwrap();
    std::fs::write(inputs.join("asset/0"), b"private").unwrap();
    for path in [inputs.join("asset"), inputs.clone()] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o555)).unwrap();
    }
    case.publish();
    assert!(!inputs.join("asset").exists());
}

#[test]
fn what_is_published_stays_as_it_is() {
    let case = Case::new();
    case.write("a", b"first");
    let first = case.publish();
    assert_eq!(case.publish(), first);
    case.write("a", b"other");
    case.write("b", b"more");
    assert_eq!(
        case.publish(),
        first,
        "the manifest that is there is the one that counts"
    );
    let stored = case.stored(&format!("{JOB}/1/outputs/a"));
    assert_eq!(std::fs::read(stored).unwrap(), b"first");
    assert!(!case.stored(&format!("{JOB}/1/outputs/b")).exists());
}

#[test]
fn a_run_that_broke_before_its_manifest_is_completed() {
    let case = Case::new();
    case.write("a", b"whole");
    let half = case.stored(&format!("{JOB}/1/outputs/a"));
    std::fs::create_dir_all(half.parent().unwrap()).unwrap();
    std::fs::write(&half, b"wh").unwrap();
    assert_eq!(case.publish()["files"], 1);
    assert_eq!(std::fs::read(&half).unwrap(), b"whole");
}

#[test]
fn a_hostile_tree_gives_away_nothing() {
    let mut case = Case::new();
    case.plan["resultBytes"] = json!(1000);
    case.write("good", b"good");
    case.write("inner/good", b"good");
    symlink("/etc/passwd", case.output("passwd")).unwrap();
    symlink("/etc", case.output("etc")).unwrap();
    symlink("..", case.output("inner/up")).unwrap();
    symlink("good", case.output("link")).unwrap();
    symlink("../record/log", case.output("record")).unwrap();
    let fifo = case.output("fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    drop(std::os::unix::net::UnixListener::bind(case.output("socket")).unwrap());
    std::fs::File::create(case.output("sparse"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    let name = OsStr::from_bytes(b"bad\xff");
    std::fs::write(case.output("").join(name), b"x").unwrap();
    std::fs::write(case.output("line\nbreak"), b"x").unwrap();
    case.write(&format!("{}/bottom", vec!["d"; 40].join("/")), b"x");
    let long = ["x"; 4].map(|letter| letter.repeat(250)).join("/");
    case.write(&long, b"x");

    let published = case.publish();
    assert_eq!(
        (&published["files"], &published["bytes"]),
        (&json!(2), &json!(8))
    );
    let manifest = case.manifest();
    assert_eq!(paths(&manifest["files"]), ["good", "inner/good"]);
    let deep = vec!["d"; 33].join("/");
    let long_directory = Path::new(&long).parent().unwrap().to_str().unwrap();
    let skipped = |path: &str, reason: &str| json!({"path": path, "reason": reason});
    let hidden = |path: &str, hex: &str, reason: &str| json!({"path": path, "nameHex": hex, "reason": reason});
    assert_eq!(
        manifest["skipped"],
        json!([
            hidden("", "626164ff", "name"),
            hidden("", "6c696e650a627265616b", "name"),
            skipped(&deep, "too_deep"),
            skipped("etc", "link"),
            skipped("fifo", "not_a_file"),
            skipped("inner/up", "link"),
            skipped("link", "link"),
            skipped("passwd", "link"),
            skipped("record", "link"),
            skipped("socket", "not_a_file"),
            skipped("sparse", "too_many_bytes"),
            hidden(long_directory, &"78".repeat(250), "path_too_long"),
        ])
    );
    assert_eq!(manifest["moreSkipped"], 0);
}

#[test]
fn the_publisher_s_limits_hold() {
    let mut case = Case::new();
    case.plan["resultBytes"] = json!(10);
    case.plan["resultFiles"] = json!(2);
    for (name, size) in [("a", 6), ("b", 5), ("c", 4), ("d", 0)] {
        case.write(name, &vec![b'x'; size]);
    }
    let published = case.publish();
    assert_eq!(
        (&published["files"], &published["bytes"]),
        (&json!(2), &json!(10))
    );
    let manifest = case.manifest();
    assert_eq!(paths(&manifest["files"]), ["a", "c"]);
    assert_eq!(
        manifest["skipped"],
        json!([{"path": "b", "reason": "too_many_bytes"}, {"path": "d", "reason": "too_many_files"}])
    );
}

#[test]
fn nothing_leaves_where_nothing_may() {
    let mut case = Case::new();
    (case.plan["results"], case.plan["logs"]) = (json!("none"), json!("none"));
    case.write("secret-name", b"secret");
    assert_eq!(case.publish()["files"], 0);
    let manifest = case.manifest();
    assert!(!manifest.to_string().contains("secret"));
    assert_eq!(
        manifest.get("log"),
        None,
        "neither length nor hash of a log that stays in"
    );
    assert!(!case.stored(&format!("{JOB}/1/outputs")).exists());
}

#[test]
fn a_log_without_the_guard_s_word_is_unverified() {
    let case = Case::new();
    std::fs::remove_file(case.directory.path().join("data/record/ending.json")).unwrap();
    let log = case.publish()["log"].clone();
    assert_eq!(
        log,
        json!({"bytes": LOG.len(), "sha256": sha256(LOG), "completeness": "unverified"})
    );

    let case = Case::new();
    std::fs::remove_dir_all(case.directory.path().join("data/record")).unwrap();
    let (_, message) = case.run();
    assert_eq!(
        message["published"]["log"],
        json!({"bytes": 0, "sha256": sha256(b""), "completeness": "complete"}),
        "an algorithm that never started printed nothing"
    );
}

#[test]
fn what_fails_is_61() {
    let mut case = Case::new();
    case.plan["resultsUrl"] = json!("gopher://results");
    let (output, message) = case.run();
    assert_eq!(output.status.code(), Some(61));
    assert_eq!(message["reason"], "publishing_failed");
    let detail = "gopher://results is no address of an object store";
    assert_eq!(message["detail"], detail);

    let case = Case::new();
    let (output, _) = case.run_with(&[]);
    assert_eq!(output.status.code(), Some(61), "file: is for development");

    let case = Case::new();
    let key = case.stored(&format!("{JOB}/1/manifest.json"));
    std::fs::create_dir_all(key.parent().unwrap()).unwrap();
    std::fs::write(&key, b"{}").unwrap();
    let (output, message) = case.run();
    assert_eq!(output.status.code(), Some(61));
    let detail = message["detail"].as_str().unwrap();
    assert!(
        detail.contains("is not the manifest of this attempt"),
        "{detail}"
    );
    assert_eq!(std::fs::read(&key).unwrap(), b"{}");
}

#[test]
fn a_plan_can_lie_in_a_file() {
    let mut case = Case::new();
    let path = case.directory.path().join("plan.json");
    std::fs::write(&path, case.plan.to_string()).unwrap();
    let argument = format!("@{}", text(&path));
    let data = case.directory.path().join("data");
    let message = case.directory.path().join("message");
    let arguments = [
        "publish",
        "--plan",
        &argument,
        "--data",
        text(&data),
        "--allow-file",
    ];
    let (output, said) = stage(&arguments, &message);
    assert_eq!(output.status.code(), Some(0), "{said}");

    case.plan["job"] = json!("../../elsewhere");
    assert_eq!(case.run().0.status.code(), Some(61));
    assert!(case.url.starts_with("file://"));
}

/// The S3 server that `tests/run` starts.
#[expect(
    clippy::disallowed_methods,
    reason = "tests read where their equipment is"
)]
fn s3() -> String {
    std::env::var("TIDEWATCH_TEST_S3").expect(
        "TIDEWATCH_TEST_S3 is the URL of an S3 server: run the tests by tests/run, or start one with tests/equipment/s3",
    )
}

#[test]
fn results_go_to_an_s3_server() {
    let server = s3();
    let mut case = Case::new();
    let directory = case.directory.path().file_name().unwrap().to_string_lossy();
    let bucket = format!(
        "publish-{}",
        directory.trim_start_matches('.').to_lowercase()
    );
    let request = |arguments: &[&str]| {
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--fail", "--noproxy", "*"])
            .args(["--aws-sigv4", "aws:amz:us-east-1:s3", "--user", "test:test"])
            .args(arguments)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    };
    request(&["-X", "PUT", &format!("{server}/{bucket}")]);
    let options = [
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test\n"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT", &server),
        ("AWS_ALLOW_HTTP", "true"),
    ];
    mount(&options, &case.credentials());
    case.plan["resultsUrl"] = json!(format!("s3://{bucket}/of/the/publisher"));
    // More than one part, and not a whole number of them.
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
    let get = |key: &str| request(&[&format!("{server}/{bucket}/of/the/publisher/{JOB}/1/{key}")]);
    assert!(
        get("outputs/large") == large,
        "every part is there, in its order"
    );
    assert_eq!(get("outputs/sub/small%2C%20with%20a%20space"), b"small");
    let manifest = get("manifest.json");
    assert_eq!(first["manifestSha256"], sha256(&manifest));
    let listed: Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(listed["files"][0]["sha256"], sha256(&large));

    case.write("late", b"late");
    assert_eq!(case.publish(), first, "published once is published");
}
