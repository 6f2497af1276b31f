use std::fmt;

use alloy::primitives::B256;
use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Deserializer, de};

use super::BadCatalog;
use crate::ids::Did;
use crate::workflows::image::is_digest;
use crate::workflows::trust::TrustedAlgorithm;

/// An entry of `trustedAlgorithms`: a DID, or what the algorithm is made of.
pub(super) struct Trusted(Entry);

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    did: Option<Did>,
    file: Option<String>,
    container: Option<String>,
    entrypoint: Option<String>,
}

impl Trusted {
    /// What the entry means on the asset `of`.
    pub(super) fn read(self, of: Did) -> Result<TrustedAlgorithm, BadCatalog> {
        let entry = self.0;
        let bad =
            |problem: &str| BadCatalog::invalid(&of, &format!("trustedAlgorithms: {problem}"));
        let is_broken = |text: &Option<String>| text.as_deref().is_some_and(|it| !is_digest(it));
        if is_broken(&entry.file) || is_broken(&entry.container) {
            return Err(bad(
                "file and container are sha256: and 64 hexadecimal digits",
            ));
        }
        if entry.did.is_none() && (entry.container.is_none() || entry.entrypoint.is_none()) {
            return Err(bad(
                "an entry without a did says container and entrypoint, since a command line alone can hold a program",
            ));
        }
        let sha256 = |text: String| text["sha256:".len()..].parse::<B256>().ok();
        Ok(TrustedAlgorithm {
            did: entry.did,
            file: entry.file.and_then(sha256),
            container: entry.container,
            entrypoint: entry.entrypoint,
        })
    }
}

impl<'de> Deserialize<'de> for Trusted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EntryVisitor).map(Self)
    }
}

struct EntryVisitor;

impl<'de> de::Visitor<'de> for EntryVisitor {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a DID, or a mapping with did, file, container, entrypoint")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Entry, E> {
        let did = text.parse().map_err(E::custom)?;
        Ok(Entry {
            did: Some(did),
            ..Entry::default()
        })
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Entry, A::Error> {
        // The map's own error is kept: it names the unknown key.
        Entry::deserialize(MapAccessDeserializer::new(map))
    }
}
