use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use url::Url;

/// Where people find this API: scheme, host and port (RFC 6454). It is what a sign-in message names, so a message for another site
/// is none for this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    text: String,
    is_secure: bool,
}

/// A text that is no origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an origin, https://host or http://host:port, with nothing before or after")]
pub struct NoOrigin;

impl Origin {
    /// Host and port, the port only where it is not the scheme's own: EIP-4361's domain (an authority of RFC 3986).
    pub(super) fn domain(&self) -> &str {
        self.text
            .split_once("://")
            .map_or(self.text.as_str(), |(_, domain)| domain)
    }

    /// The scheme where EIP-4361 wants it said: `https` goes without saying.
    pub(super) const fn scheme(&self) -> Option<&'static str> {
        if self.is_secure { None } else { Some("http") }
    }

    /// The whole of it.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Origin {
    type Err = NoOrigin;

    fn from_str(text: &str) -> Result<Self, NoOrigin> {
        let url = Url::parse(text).map_err(|_| NoOrigin)?;
        let bare = url.origin().ascii_serialization();
        let is_bare = matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.password().is_none()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none();
        is_bare
            .then(|| Self {
                is_secure: url.scheme() == "https",
                text: bare,
            })
            .ok_or(NoOrigin)
    }
}

impl From<SocketAddr> for Origin {
    /// The usual one: where this process itself listens.
    fn from(address: SocketAddr) -> Self {
        Self {
            text: format!("http://{address}"),
            is_secure: false,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_a_host_and_a_port_and_nothing_else() {
        let read = |text: &str| text.parse::<Origin>().map(|origin| origin.to_string());
        assert_eq!(
            read("https://Data.Example:443/").unwrap(),
            "https://data.example"
        );
        assert_eq!(
            read("http://127.0.0.1:8080").unwrap(),
            "http://127.0.0.1:8080"
        );
        for wrong in [
            "data.example",
            "ftp://data.example",
            "https://data.example/path",
            "https://user@data.example",
            "https://data.example?x",
            "https://data.example#x",
            "",
        ] {
            assert_eq!(read(wrong), Err(NoOrigin), "{wrong}");
        }
        let origin: Origin = "https://data.example:8443".parse().unwrap();
        assert_eq!(
            (origin.domain(), origin.scheme()),
            ("data.example:8443", None)
        );
    }
}
