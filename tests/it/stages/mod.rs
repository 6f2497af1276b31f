//! The programs that run in the pods, as programs: their exit codes, messages, files and output.

mod azure;
mod configure;
mod guard;
mod publish;

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// Runs `tidewatch stage` with `arguments` and a termination message in `message`; answers what it printed and said.
fn stage(arguments: &[&str], message: &Path) -> (Output, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_tidewatch"))
        .arg("stage")
        .args(arguments)
        .arg("--message")
        .arg(message)
        .current_dir("/")
        .env_remove("TIDEWATCH_CA_FILE")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (output, read_message(message))
}

fn read_message(message: &Path) -> Value {
    let bytes = std::fs::read(message).expect("there is a termination message");
    assert!(bytes.len() <= 4096, "the kubelet would cut the message");
    serde_json::from_slice(&bytes).unwrap()
}

/// Writes a Secret as the kubelet mounts it: links into a directory whose name begins with dots.
fn mount(secret: &[(&str, &str)], directory: &Path) {
    std::fs::create_dir_all(directory.join("..data")).unwrap();
    for (name, value) in secret {
        std::fs::write(directory.join("..data").join(name), value).unwrap();
        symlink(Path::new("..data").join(name), directory.join(name)).unwrap();
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    format!("0x{}", alloy::hex::encode(Sha256::digest(bytes)))
}
