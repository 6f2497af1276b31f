use std::path::Path;

/// What of this crate each module may name, beside itself. `module::Item` allows that item only.
const MODULES: [(&str, &[&str]); 25] = [
    ("ids", &[]),
    ("fault", &[]),
    ("clock", &[]),
    ("meters", &[]),
    ("worker", &["fault", "meters"]),
    ("jobs", &["ids"]),
    ("admission", &["ids", "jobs", KEEPER]),
    ("workflows", &["ids", "jobs", "admission", KEEPER]),
    (
        "preflight",
        &["ids", "jobs", "admission", "workflows", KEEPER],
    ),
    ("engine", &["ids", "fault", "jobs", "workflows"]),
    ("results", &["ids", "fault", "engine"]),
    ("chain", &["ids", "fault", "clock", "worker"]),
    ("keeper", &["ids", "fault", "clock", "worker", "chain"]),
    ("facts", &["ids", "admission", KEEPER]),
    (
        "documents",
        &["ids", "fault", "worker", "admission", "workflows"],
    ),
    (
        "ledger",
        &[
            "ids",
            "fault",
            "clock",
            "worker",
            "jobs",
            "admission",
            "workflows",
            "engine",
            "meters",
            KEEPER,
            HEADER,
            RAW_LOG,
        ],
    ),
    (
        "cluster",
        &[
            "ids",
            "fault",
            "clock",
            "worker",
            "jobs",
            "workflows",
            "engine",
            "stages",
            "results",
        ],
    ),
    (
        "process",
        &[
            "ids",
            "fault",
            "clock",
            "worker",
            "jobs",
            "workflows",
            "engine",
            "stages",
            "results",
        ],
    ),
    (
        "follower",
        &[
            "ids", "fault", "clock", "worker", "jobs", "chain", "keeper", "ledger", "meters",
        ],
    ),
    (
        "scheduler",
        &[
            "documents",
            "facts",
            "ids",
            "fault",
            "clock",
            "worker",
            "jobs",
            "admission",
            "workflows",
            "engine",
            "keeper",
            "ledger",
            HEADER,
            RAW_LOG,
        ],
    ),
    (
        "agent",
        &[
            "documents",
            "facts",
            "ids",
            "fault",
            "clock",
            "worker",
            "jobs",
            "admission",
            "workflows",
            "preflight",
            "chain",
            "keeper",
            "ledger",
        ],
    ),
    (
        "operator",
        &[
            "ids",
            "fault",
            "clock",
            "worker",
            "jobs",
            "workflows",
            "engine",
            "stages",
            "cluster",
        ],
    ),
    (
        "stages",
        &[
            "ids",
            "fault",
            "clock",
            "worker",
            "jobs",
            "workflows",
            "engine",
            "results",
        ],
    ),
    (
        "api",
        &[
            "ids",
            "fault",
            "clock",
            "worker",
            "jobs",
            "admission",
            "workflows",
            "preflight",
            "engine",
            "ledger",
            "meters",
            KEEPER,
        ],
    ),
    ("app", &["*"]),
];

/// The keeper's words: what its events say, not how its contracts are deployed or called.
const KEEPER: &str = "keeper";
const HEADER: &str = "chain::Header";
const RAW_LOG: &str = "chain::RawLog";

/// What sends transactions; of no concern to those who only decide or record.
const KEEPER_ACTING: [&str; 3] = ["deploy", "purchase", "account"];

/// The crates that only some may name, and where: a folder, or a file without its extension.
const CRATES: [(&[&str], &[&str]); 11] = [
    (&["sqlx"], &["src/ledger"]),
    (&["kube"], &["src/cluster", "src/operator", "src/app"]),
    (
        &["k8s_openapi"],
        &["src/cluster", "src/operator", "src/app"],
    ),
    (&["axum"], &["src/api", "src/app/telemetry"]),
    (&["alloy", "providers"], NODE),
    (&["alloy", "rpc"], NODE),
    (&["alloy", "transports"], NODE),
    (&["alloy", "signers"], NODE),
    (&["alloy", "network"], NODE),
    (&["alloy", "contract"], NODE),
    (&["alloy", "*"], NODE),
];

const NODE: &[&str] = &[
    "src/chain",
    "src/agent",
    "src/app",
    "src/keeper/deploy",
    "src/keeper/purchase",
    "src/keeper/account",
];

/// The modules that decide and do nothing, and what would be doing something.
const PURE: [&str; 4] = ["jobs", "admission", "workflows", "preflight"];
const DOING: [&[&str]; 9] = [
    &["tokio"],
    &["tokio_util"],
    &["reqwest"],
    &["object_store"],
    &["std", "fs"],
    &["std", "net"],
    &["std", "process"],
    &["std", "env"],
    &["std", "time", "SystemTime"],
];

/// Whether the table has a module of that name.
pub(super) fn knows(module: &str) -> bool {
    MODULES.iter().any(|(name, _)| *name == module)
}

/// Why `file` may not name `path`; `None` when it may.
pub(super) fn refusal(file: &Path, path: &[String]) -> Option<String> {
    let parts: Vec<&str> = path.iter().map(String::as_str).collect();
    match parts.as_slice() {
        ["crate" | "tidewatch", rest @ ..] => crate_refusal(file, rest),
        _ => foreign_refusal(file, &parts),
    }
}

fn crate_refusal(file: &Path, rest: &[&str]) -> Option<String> {
    let from = module_of(file);
    if from == "lib" || from == "main" {
        return None;
    }
    let allowed = if from == "guard" {
        &["ids", "jobs", "engine", "workflows", "stages"][..]
    } else {
        match MODULES.iter().find(|(name, _)| *name == from) {
            Some((_, allowed)) => allowed,
            None => return Some(format!("{from} is not in the table")),
        }
    };
    match rest {
        [module, ..] if *module == from => None,
        [] | ["*"] => Some("it takes the whole crate".to_owned()),
        ["keeper", inner, ..]
            if KEEPER_ACTING.contains(inner)
                && !allowed.contains(&"chain")
                && from != "app"
                // a purchase is data; who sends it is another matter
                && !(from == "preflight" && *inner == "purchase") =>
        {
            Some(format!("{from} decides or records, it sends nothing"))
        }
        [module, inner @ ..] => {
            let item = inner.first().map(|item| format!("{module}::{item}"));
            let is_allowed =
                |name: &&str| *name == "*" || name == module || item.as_deref() == Some(*name);
            let is_refused = knows(module) && !allowed.iter().any(is_allowed);
            is_refused.then(|| format!("{from} refuses to know {module}"))
        }
    }
}

fn foreign_refusal(file: &Path, parts: &[&str]) -> Option<String> {
    let location = file.with_extension("");
    let guarded = CRATES.iter().find(|(named, _)| parts.starts_with(named));
    if let Some((named, places)) = guarded
        && !places.iter().any(|place| location.starts_with(place))
    {
        return Some(format!(
            "{} is used only in {}",
            named.join("::"),
            places.join(", ")
        ));
    }
    // A crate under another name could no longer be followed.
    if parts.first() == Some(&"alloy") && parts.len() == 1 {
        return Some("alloy is named in full".to_owned());
    }
    let is_doing = PURE.contains(&module_of(file).as_str())
        && DOING.iter().any(|named| parts.starts_with(named));
    is_doing.then(|| "this module decides and does nothing".to_owned())
}

/// The module of the crate that a file belongs to: `src/ledger/jobs.rs` to `ledger`, `src/ids.rs` to `ids`.
fn module_of(file: &Path) -> String {
    let location = file.with_extension("");
    let mut parts = location
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .skip(1);
    match parts.next() {
        Some(folder) if folder == "bin" => parts.next().unwrap_or_default(),
        Some(module) => module,
        None => String::new(),
    }
}
