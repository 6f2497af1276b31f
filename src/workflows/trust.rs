use alloy::primitives::B256;

use super::code::Code;
use crate::ids::Did;

/// An algorithm that the publisher trusts for an asset: by its DID, or by what it is made of, or by both.
///
/// Whatever it says must hold. One without a DID always says image and command line, since a command line alone can hold a
/// program, and then means exactly that code: a given `file`, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedAlgorithm {
    /// Its DID.
    pub did: Option<Did>,
    /// SHA-256 of its code.
    pub file: Option<B256>,
    /// Digest of its image, `sha256:` and 64 hexadecimal digits: of the platform's manifest or of an index.
    pub container: Option<String>,
    /// Its command line, to the letter.
    pub entrypoint: Option<String>,
}

impl TrustedAlgorithm {
    /// Whether an algorithm is this one. `digests` are all that name its image.
    pub fn is(&self, made: &Made<'_>) -> bool {
        let sha256 = made.code.map(Code::sha256);
        let same_did = self.did.is_none() || self.did == made.did;
        // By DID the publisher trusts whoever owns it; without one, an absent file means that there is none.
        let same_file = match self.file {
            Some(file) => sha256 == Some(file),
            None => self.did.is_some() || sha256.is_none(),
        };
        let same_container = self
            .container
            .as_deref()
            .is_none_or(|container| made.digests.contains(&container));
        let same_entrypoint = self
            .entrypoint
            .as_deref()
            .is_none_or(|entrypoint| entrypoint == made.entrypoint);
        same_did && same_file && same_container && same_entrypoint
    }
}

/// What an algorithm is made of.
#[derive(Clone, Copy, Debug)]
pub struct Made<'a> {
    /// The DID it was named by.
    pub did: Option<Did>,
    /// Its code.
    pub code: Option<&'a Code>,
    /// The digests of its image: the one that was asked for and the platform's.
    pub digests: &'a [&'a str],
    /// Its command line.
    pub entrypoint: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:ab";

    fn entry(did: Option<u8>, file: Option<&str>, entrypoint: Option<&str>) -> TrustedAlgorithm {
        TrustedAlgorithm {
            did: did.map(|byte| Did(B256::repeat_byte(byte))),
            file: file.map(|text| Code::from(text).sha256()),
            container: Some(DIGEST.to_owned()),
            entrypoint: entrypoint.map(str::to_owned),
        }
    }

    #[test]
    fn everything_that_an_entry_says_must_hold() {
        let code = Code::from("print(1)");
        let made = Made {
            did: Some(Did(B256::repeat_byte(1))),
            code: Some(&code),
            digests: &["sha256:index", DIGEST],
            entrypoint: "python $ALGO",
        };
        let raw = Made { did: None, ..made };
        let bare = Made { code: None, ..raw };
        let cases = [
            (entry(Some(1), None, None), [true, false, false]),
            (entry(Some(2), None, None), [false, false, false]),
            (entry(Some(1), Some("print(1)"), None), [true, false, false]),
            (
                entry(Some(1), Some("print(2)"), None),
                [false, false, false],
            ),
            (
                entry(None, Some("print(1)"), Some("python $ALGO")),
                [true, true, false],
            ),
            (
                entry(None, Some("print(1)"), Some("cat /data/inputs")),
                [false, false, false],
            ),
            (
                entry(None, None, Some("python $ALGO")),
                [false, false, true],
            ),
        ];
        for (entry, [by_did, by_hash, by_image]) in cases {
            assert_eq!(entry.is(&made), by_did, "{entry:?}");
            assert_eq!(entry.is(&raw), by_hash, "{entry:?}");
            assert_eq!(entry.is(&bare), by_image, "{entry:?}");
        }
        let other = Made {
            digests: &["sha256:cd"],
            ..made
        };
        assert!(!entry(Some(1), None, None).is(&other));
    }
}
