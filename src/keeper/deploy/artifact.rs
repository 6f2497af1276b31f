//! Creation code out of the published packages.

use std::path::PathBuf;

use alloy::hex;
use alloy::primitives::{Address, Bytes};
use serde::Deserialize;

use super::Error;

#[derive(Deserialize)]
struct Artifact {
    bytecode: String,
}

/// Reads a contract's creation code and links its library: the compiler leaves `__Name` filled with `_` to 40 characters where
/// the library's address belongs (Solidity 0.4 and 0.5 documentation, "Library Linking").
pub(super) fn creation_code(
    path: PathBuf,
    library: Option<(&str, Address)>,
) -> Result<Bytes, Error> {
    let fault = |detail: String| Error::Artifact {
        path: path.clone(),
        detail,
    };
    let text = std::fs::read_to_string(&path).map_err(|error| fault(error.to_string()))?;
    let artifact: Artifact =
        serde_json::from_str(&text).map_err(|error| fault(error.to_string()))?;
    let code = match library {
        Some((library, address)) => artifact.bytecode.replace(
            &format!("{:_<40}", format!("__{library}")),
            &hex::encode(address),
        ),
        None => artifact.bytecode,
    };
    hex::decode(&code)
        .map(Bytes::from)
        .map_err(|error| fault(format!("its bytecode is no hexadecimal number: {error}")))
}
