//! The pages in a real browser, with real rows of a real chain behind them.
//!
//! `page.mjs` holds the steps. It drives Debian's Chromium by playwright-core, lets axe-core look at every page, and asks this side to
//! change things while a page is open. Screenshots go to `TIDEWATCH_TEST_SCREENSHOTS`, else to a folder below `target`.

mod rows;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use tidewatch::api::Settings;
use tidewatch::app::packages::{self, Package};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

use super::agreements::with_node;
use super::service::{Endpoint, TOKEN};
use crate::support::cache;
use rows::Stage;

/// Longest that all steps together may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(420);

/// Drives a browser (Apache-2.0).
const PLAYWRIGHT: Package = Package {
    name: "playwright-core",
    version: "1.65.1",
    integrity: "sha512-hqPpz7blSMPxWVdoeE1yiBSzXsKiVOd2k+kjCvmUywD2GPO2Dd9HfcWnq9NN0GHbNZDFgZ9JfBFr+X5/BLo0qw==",
};

/// Finds what people cannot use who do not see, or have no mouse (MPL-2.0).
const AXE: Package = Package {
    name: "axe-core",
    version: "4.14.1",
    integrity: "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
};

fn screenshots() -> PathBuf {
    let usual = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
    std::env::var_os("TIDEWATCH_TEST_SCREENSHOTS").map_or(usual, PathBuf::from)
}

#[tokio::test(flavor = "multi_thread")]
async fn people_find_follow_and_understand_jobs_in_a_browser() {
    let packages = tokio::task::spawn_blocking(|| {
        [PLAYWRIGHT, AXE].map(|package| packages::ensure(package, &cache()).unwrap())
    });
    let stage = Stage::set().await;
    let settings = Settings {
        files: Some(stage.results.clone()),
        ..with_node(&stage.bench)
    };
    let api = Endpoint::beside(&stage.bench, settings).await;
    let [playwright, axe] = packages.await.unwrap();
    let mut known = stage.known();
    known["token"] = json!(TOKEN);
    let mut script = Command::new("node")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/api/browser/page.mjs"))
        .env("ORIGIN", api.origin())
        .env("PLAYWRIGHT", playwright)
        .env("AXE", axe.join("axe.min.js"))
        .env("CHROMIUM", "/usr/bin/chromium")
        .env("SCREENSHOTS", screenshots())
        .env("KNOWN", known.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("node, which tests/equipment/packages asks for, must be installed");
    let mut answers = script.stdin.take().unwrap();
    let mut lines = BufReader::new(script.stdout.take().unwrap()).lines();
    let told = tokio::time::timeout(PATIENCE, async {
        let mut told = Vec::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some(change) = line.strip_prefix("do ") {
                stage.change(change).await;
                answers.write_all(b"done\n").await.unwrap();
            }
            told.push(line);
        }
        told
    })
    .await
    .expect("the browser's steps end in time");
    let status = script.wait().await.unwrap();
    assert!(status.success(), "{}", told.join("\n"));
}
