//! What the publisher declares: a file, a price, what may run.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::ids::Did;

/// The publisher's data.
pub(super) const DATA: &str = "\
harbour,arrivals
Faro,112
Nazare,30
Peniche,71
Sines,258
";

/// The sum that the consumer's algorithm must come to.
pub(super) const SUM: u32 = 112 + 30 + 71 + 258;

/// The consumer's algorithm: sums a column of data that it can never take away, and tries to.
fn algorithm(escape: &str) -> String {
    format!(
        r#"echo "inputs of $DIDS:"
ls -l $INPUTS/*
for n in 1 2 3 4 5 6; do echo "working, step $n"; sleep 1; done
echo "trying to send the data away:"
cat $INPUTS/*/0 | {escape} 2>&1 || echo "network: denied"
(echo more >> "$(ls $INPUTS/*/0)") 2>&1 || echo "inputs: read-only"
awk -F, 'NR > 1 {{sum += $2}} END {{print sum}}' $INPUTS/*/0 > $OUTPUTS/sum
echo "done"
"#
    )
}

/// The workflow document that the consumer registers, with the line of shell by which it tries to send the data away.
pub(super) fn workflow(did: Did, image: &str, escape: &str) -> Value {
    let (name, digest) = match image.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (image, None),
    };
    let mut container = json!({"image": name, "entrypoint": "sh $ALGO"});
    match digest {
        Some(digest) => container["checksum"] = digest.into(),
        // where images are not run, none is pinned; but an image without either is refused
        None => container["tag"] = "latest".into(),
    }
    json!({"main": {"type": "workflow", "workflow": {"stages": [{
        "index": 0,
        "input": [{"index": 0, "id": did.to_string()}],
        "transformation": {
            "rawcode": algorithm(escape),
            "container": container,
        },
        "requirements": {"cpu": "200m", "memory": "64Mi", "maxExecutionSeconds": 120},
        "output": {},
    }]}}})
}

/// The catalog with one asset.
pub(super) fn catalog(did: Did, file: &str, image: &str, payee: &str, price: u64) -> Value {
    let name = image.split('@').next().unwrap_or(image);
    json!({
        "schemaVersion": 1,
        "policy": {
            "payees": [payee],
            "images": [name],
            "resources": {"cpu": "500m", "memory": "128Mi", "disk": "64Mi", "maxExecutionSeconds": 300},
        },
        "assets": [{
            "did": did.to_string(),
            "minimumPrice": price.to_string(),
            "files": [{
                "url": file,
                "checksum": format!("sha256:{}", alloy::hex::encode(Sha256::digest(DATA))),
                "contentType": "text/csv",
            }],
            "privacy": {"allowRawAlgorithm": true},
            "release": {"results": "raw", "logs": "raw"},
        }],
    })
}
