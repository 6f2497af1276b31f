use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

use alloy::primitives::B256;

/// Largest code of an algorithm, in bytes: it travels in the per-job Secret, which Kubernetes limits to 1 MiB.
pub const LARGEST_CODE: usize = 512 * 1024;

/// An algorithm's code: any bytes, since an algorithm may be a program or an archive as well as a script.
///
/// Its JSON form is a string wherever that is the shorter one (scripts), else `{"base64": "…"}`: so it never grows by more than a
/// third, whatever the bytes are, and fits where it has to travel.
#[derive(Clone, PartialEq, Eq)]
pub struct Code(Vec<u8>);

impl Code {
    /// Those bytes.
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// SHA-256 of the bytes.
    pub fn sha256(&self) -> B256 {
        B256::from_slice(&Sha256::digest(&self.0))
    }

    /// The code as text, when its JSON string is no longer than the other form.
    fn as_text(&self) -> Option<&str> {
        let text = std::str::from_utf8(&self.0).ok()?;
        let escaped: usize = text.bytes().map(growth).sum();
        (escaped <= text.len() / 3).then_some(text)
    }
}

/// By how many bytes JSON's escape of a byte is longer than it.
const fn growth(byte: u8) -> usize {
    match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 8 | 12 => 1,
        0..0x20 => 5,
        _ => 0,
    }
}

impl From<&str> for Code {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Code({} bytes)", self.0.len())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some(text) = self.as_text() {
            return serializer.serialize_str(text);
        }
        Encoded {
            base64: STANDARD.encode(&self.0),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Form::deserialize(deserializer)? {
            Form::Text(text) => Ok(Self(text.into_bytes())),
            Form::Encoded(encoded) => STANDARD
                .decode(encoded.base64)
                .map(Self)
                .map_err(|_| de::Error::custom("the code's base64 is broken")),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Encoded {
    base64: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Form {
    Text(String),
    Encoded(Encoded),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn scripts_stay_readable_and_anything_else_stays_small() {
        let json = |bytes: &[u8]| serde_json::to_string(&Code::new(bytes.to_vec())).unwrap();
        assert_eq!(json(b"print(1)\n"), r#""print(1)\n""#);
        assert_eq!(json(b"\x7fELF\xff"), r#"{"base64":"f0VMRv8="}"#);
        assert!(json(&[0; 3000]).len() < 4100);
    }

    proptest! {
        #[test]
        fn every_code_reads_back_and_never_doubles(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let code = Code::new(bytes);
            let text = serde_json::to_string(&code).unwrap();
            prop_assert!(text.len() <= 20 + code.as_bytes().len() * 4 / 3);
            prop_assert_eq!(serde_json::from_str::<Code>(&text).unwrap(), code);
        }
    }
}
