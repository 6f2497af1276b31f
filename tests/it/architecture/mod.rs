//! Keeps the table of `src/lib.rs` true: who may know what. It reads the sources as text.
//!
//! `paths.rs` finds the paths that a file names; `rules.rs` holds the table and judges a path.

mod paths;
mod rules;

use std::fs;
use std::path::{Path, PathBuf};

use paths::{Named, named_paths};

/// Longest file that is still read as a whole.
const MOST_LINES: usize = 600;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &str) -> Vec<(PathBuf, String)> {
    let mut folders = vec![root().join(folder)];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                files.push((path.strip_prefix(root()).unwrap().to_owned(), text));
            }
        }
    }
    files.sort();
    files
}

fn violations(file: &Path, text: &str) -> Vec<String> {
    named_paths(file, text)
        .into_iter()
        .filter_map(|Named { line, path }| {
            let why = rules::refusal(file, &path)?;
            Some(format!(
                "{}:{line} names {}: {why}",
                file.display(),
                path.join("::")
            ))
        })
        .collect()
}

#[test]
fn modules_know_only_what_the_table_lets_them_know() {
    let all: Vec<_> = rust_files("src")
        .iter()
        .flat_map(|(file, text)| violations(file, text))
        .collect();
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn every_module_of_the_crate_stands_in_the_table() {
    let root = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let modules: Vec<_> = root
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect();
    assert!(modules.len() >= 21);
    for module in modules {
        assert!(rules::knows(module), "{module} is not in rules.rs");
        assert!(
            root.contains(&format!("[`{module}`]")),
            "{module} is not in the table of src/lib.rs"
        );
    }
}

#[test]
fn files_can_be_read_as_a_whole_and_folders_say_what_they_are() {
    let mut wrong = Vec::new();
    for (file, text) in rust_files("src").into_iter().chain(rust_files("tests")) {
        let lines = text.lines().count();
        if lines > MOST_LINES {
            wrong.push(format!("{} has {lines} lines", file.display()));
        }
        if file.ends_with("mod.rs") && !text.starts_with("//! ") {
            wrong.push(format!("{} begins without a module doc", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn violations_are_caught_however_they_are_written() {
    let caught = [
        ("src/api/a.rs", "use sqlx::PgPool;"),
        ("src/api/a.rs", "fn f(x: &::sqlx::PgPool) {}"),
        ("src/api/a.rs", "use crate::{ids, cluster::{self, Engine}};"),
        ("src/api/a.rs", "use {std::fmt, crate::{chain::Provider}};"),
        (
            "src/api/routes/a.rs",
            "fn f() { super::super::super::cluster::go() }",
        ),
        ("src/api/mod.rs", "use super::operator;"),
        ("src/api/a.rs", "use self::super::super::cluster;"),
        (
            "src/api/a.rs",
            "mod inner { use super::super::super::cluster; }",
        ),
        ("src/api/a.rs", "use crate::*;"),
        ("src/api/a.rs", "use crate as everything;"),
        ("src/api/a.rs", "use kube;"),
        ("src/api/a.rs", "extern crate kube as k;"),
        ("src/jobs/a.rs", "#[tokio::test] async fn f() {}"),
        ("src/jobs/a.rs", "use crate::ledger::Error;"),
        ("src/jobs/a.rs", "fn f() { std::fs::read(\"x\"); }"),
        ("src/admission/a.rs", "use crate::keeper::deploy::deploy;"),
        ("src/scheduler/judge.rs", "use crate::chain::Provider;"),
        ("src/ledger/a.rs", "use crate::chain::{RawLog, Provider};"),
        (
            "src/keeper/decode.rs",
            "use alloy::{primitives::B256, providers::Provider};",
        ),
        ("src/keeper/decode.rs", "use alloy::*;"),
        ("src/keeper/decode.rs", "use alloy as a;"),
        ("src/app/run.rs", "use axum::Router;"),
        (
            "src/operator/a.rs",
            "use\n    crate :: ledger // why\n    ::Ledger;",
        ),
        (
            "src/ledger/a.rs",
            "const A: &str = \"\\\"\"; use crate::engine; use crate::cluster; // \"",
        ),
        (
            "src/ledger/a.rs",
            "const A: char = '\"'; use crate::cluster;",
        ),
        (
            "src/ledger/a.rs",
            "fn f<'a>(x: &'a str) { crate::cluster::f(x) }",
        ),
        (
            "src/ledger/a.rs",
            "const A: &str = r#\"\"\"#; use crate::cluster;",
        ),
        ("src/unheard_of/a.rs", "use crate::ids;"),
        ("src/bin/guard.rs", "use tidewatch::ledger;"),
    ];
    for (file, text) in caught {
        assert!(
            !violations(Path::new(file), text).is_empty(),
            "{file}: {text}"
        );
    }
}

#[test]
fn what_is_allowed_and_what_is_not_code_is_let_pass() {
    let allowed = [
        (
            "src/ledger/a.rs",
            "use sqlx::PgPool; use crate::chain::{Header, RawLog}; use crate::jobs::*;",
        ),
        (
            "src/ledger/a/b.rs",
            "use super::super::Error; use super::kube;",
        ),
        (
            "src/api/a.rs",
            "//! [`crate::cluster`]\n/* use sqlx; /* nested */ use kube; */ use axum::Router;",
        ),
        (
            "src/api/a.rs",
            "const A: &str = \"use sqlx::PgPool;\"; const B: &str = r#\"use kube::\"Api\";\"#;",
        ),
        (
            "src/api/a.rs",
            "let kube = 1; kube + sqlx; self.kube.sqlx()",
        ),
        (
            "src/api/a.rs",
            "mod tests { use super::*; use super::super::ids; }",
        ),
        (
            "src/api/a.rs",
            "use tidewatch_other::ledger; use url::Url as sqlx_url;",
        ),
        (
            "src/keeper/deploy.rs",
            "use alloy::{primitives::B256, providers::Provider};",
        ),
        ("src/app/telemetry/metrics.rs", "use axum::Router;"),
        (
            "src/app/run.rs",
            "use crate::{api, chain, cluster, ledger};",
        ),
        (
            "src/scheduler/judge.rs",
            "use crate::chain::RawLog; use crate::admission;",
        ),
        ("src/main.rs", "fn main() { tidewatch::app::main() }"),
    ];
    for (file, text) in allowed {
        assert_eq!(
            violations(Path::new(file), text),
            Vec::<String>::new(),
            "{text}"
        );
    }
}
