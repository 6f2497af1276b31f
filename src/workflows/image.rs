use std::fmt;
use std::str::FromStr;

/// A container image as somebody names it, with its name in full: `python:3.12` is `docker.io/library/python`, tag `3.12`.
///
/// The grammar is that of the distribution project's package `reference`, which Docker, containerd and Kubernetes follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageReference {
    /// Registry and repository, without tag and digest.
    pub name: String,
    /// The tag, if one was given.
    pub tag: Option<String>,
    /// `sha256:` and 64 lower-case hexadecimal digits, if a digest was given.
    pub digest: Option<String>,
}

impl FromStr for ImageReference {
    type Err = BadImage;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadImage(text.chars().take(200).collect());
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) if is_digest(digest) => (rest, Some(digest.to_owned())),
            Some(_) => return Err(bad()),
            None => (text, None),
        };
        // A colon before the last slash belongs to the registry's port.
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if is_tag(tag) => (name, Some(tag.to_owned())),
            Some((_, port)) if port.contains('/') => (rest, None),
            Some(_) => return Err(bad()),
            None => (rest, None),
        };
        let name = full_name(name).ok_or_else(bad)?;
        Ok(Self { name, tag, digest })
    }
}

/// What a publisher allows: one image by its full name, or all below a prefix that ends in `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageRule {
    /// This image.
    Exactly(String),
    /// Every image whose full name starts with this.
    Below(String),
}

impl ImageRule {
    /// Whether the image of that full name is allowed.
    pub fn allows(&self, name: &str) -> bool {
        match self {
            Self::Exactly(allowed) => allowed == name,
            Self::Below(prefix) => name.starts_with(prefix.as_str()),
        }
    }
}

impl FromStr for ImageRule {
    type Err = BadImage;

    /// Reads a name without tag and digest, or a prefix ending in `/`. The registry may be left out as Docker does.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadImage(text.chars().take(200).collect());
        if let Some(prefix) = text.strip_suffix('/') {
            let prefix = if is_registry(prefix) {
                registry(prefix).ok_or_else(bad)?
            } else {
                // "algorithms/" means docker.io/algorithms/, not docker.io/library/algorithms/.
                let name = full_name(&format!("{prefix}/x")).ok_or_else(bad)?;
                name[..name.len() - 2].to_owned()
            };
            return Ok(Self::Below(format!("{prefix}/")));
        }
        let image: ImageReference = text.parse()?;
        if image.tag.is_some() || image.digest.is_some() {
            return Err(bad());
        }
        Ok(Self::Exactly(image.name))
    }
}

impl fmt::Display for ImageRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(text) | Self::Below(text) => f.write_str(text),
        }
    }
}

/// Whether the text is `sha256:` and 64 lower-case hexadecimal digits.
pub(super) fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|digits| {
        digits.len() == 64
            && digits
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    })
}

/// Whether the text is a tag: at most 128 word characters, dots and dashes, not starting with the latter two.
pub(super) fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= 128
        && text.bytes().next().is_some_and(word)
        && text
            .bytes()
            .all(|byte| word(byte) || byte == b'.' || byte == b'-')
}

fn full_name(name: &str) -> Option<String> {
    let (host, path) = match name.split_once('/') {
        Some((host, path)) if is_registry(host) => (registry(host)?, path.to_owned()),
        Some(_) => (DEFAULT_REGISTRY.to_owned(), name.to_owned()),
        None => (DEFAULT_REGISTRY.to_owned(), format!("library/{name}")),
    };
    let full = if host == DEFAULT_REGISTRY && !path.contains('/') {
        format!("{host}/library/{path}")
    } else {
        format!("{host}/{path}")
    };
    let valid = path.split('/').all(is_path_component) && full.len() <= 255;
    valid.then_some(full)
}

const DEFAULT_REGISTRY: &str = "docker.io";

/// The first component is a registry when it has a dot, a port or is `localhost`.
fn is_registry(first: &str) -> bool {
    !first.contains('/') && (first.contains(['.', ':']) || first == "localhost")
}

fn registry(host: &str) -> Option<String> {
    let (name, port) = host.split_once(':').unwrap_or((host, "0"));
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let valid = name.split('.').all(label)
        && !port.is_empty()
        && port.bytes().all(|byte| byte.is_ascii_digit());
    // Hosts are the same in any case; repositories are lower case anyway.
    let host = match host.to_ascii_lowercase() {
        index if index == "index.docker.io" => DEFAULT_REGISTRY.to_owned(),
        other => other,
    };
    valid.then_some(host)
}

/// Lower-case letters and digits, joined by one dot, one or two underscores, or any number of dashes.
fn is_path_component(component: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = component.as_bytes();
    let ends_plain =
        bytes.first().copied().is_some_and(plain) && bytes.last().copied().is_some_and(plain);
    ends_plain
        && component
            .split(|letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit())
            .all(|separator| {
                matches!(separator, "" | "." | "_" | "__")
                    || separator.bytes().all(|byte| byte == b'-')
            })
}

/// A text that names no image.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the name of a container image")]
pub struct BadImage(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_completed_as_docker_completes_them() {
        let cases = [
            ("python", "docker.io/library/python"),
            ("docker.io/python", "docker.io/library/python"),
            ("Index.docker.io/library/python", "docker.io/library/python"),
            ("someone/python", "docker.io/someone/python"),
            ("localhost/python", "localhost/python"),
            ("registry:5000/a/b", "registry:5000/a/b"),
            (
                "My-Registry.Example/a__b/c--d",
                "my-registry.example/a__b/c--d",
            ),
        ];
        for (text, name) in cases {
            let image: ImageReference = text.parse().unwrap();
            assert_eq!(
                (image.name.as_str(), image.tag, image.digest),
                (name, None, None),
                "{text}"
            );
        }
    }

    #[test]
    fn tags_and_digests_are_taken_apart() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        let image: ImageReference = format!("registry:5000/python:3.12-slim@{digest}")
            .parse()
            .unwrap();
        assert_eq!(image.name, "registry:5000/python");
        assert_eq!(image.tag.as_deref(), Some("3.12-slim"));
        assert_eq!(image.digest, Some(digest));
    }

    #[test]
    fn what_names_no_image_is_refused() {
        let long = "a".repeat(256);
        let bad = [
            "",
            "/",
            "a/",
            "/a",
            "A",
            "a//b",
            "a:",
            "a:-x",
            "a:b:c",
            "a.example/b:c:d",
            "my_registry.example/b",
            "a@sha256:12",
            "a b",
            "a_-b",
            "a.",
            "-a.example/b",
            "a.example:/b",
            "a.example:x/b",
            "a\u{0}",
            "a\n",
            "ａ",
            &long,
        ];
        for text in bad {
            assert!(text.parse::<ImageReference>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn rules_compare_full_names() {
        let exact: ImageRule = "python".parse().unwrap();
        assert!(exact.allows("docker.io/library/python"));
        assert!(!exact.allows("docker.io/library/python3"));
        let below: ImageRule = "registry.example/algorithms/".parse().unwrap();
        assert!(below.allows("registry.example/algorithms/mean"));
        assert!(!below.allows("registry.example/algorithms"));
        assert!(!below.allows("registry.example.evil/algorithms/mean"));
        let user: ImageRule = "someone/".parse().unwrap();
        assert_eq!(user, ImageRule::Below("docker.io/someone/".to_owned()));
        let host: ImageRule = "registry.example/".parse().unwrap();
        assert!(host.allows("registry.example/any/thing"));
        assert!("python:3".parse::<ImageRule>().is_err());
        assert!("".parse::<ImageRule>().is_err());
        assert!("/".parse::<ImageRule>().is_err());
    }
}
