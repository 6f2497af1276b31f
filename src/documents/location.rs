use std::net::IpAddr;

use url::{Host, Url};

use super::Error;
use super::address::Reach;

/// Longest address that is followed, in bytes: that of the longest value in the registry.
const LONGEST: usize = 2048;

/// Names that never belong to a public server: RFC 6761 and 6762, RFC 8375, and the ones that ICANN and clouds keep for inside.
const INSIDE: [&str; 7] = [
    "localhost",
    "local",
    "internal",
    "intranet",
    "lan",
    "home.arpa",
    "in-addr.arpa",
];

/// A URL that may be followed, as far as its text says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Location {
    /// The URL.
    pub(super) url: Url,
    /// Whether it is at an origin that the publisher or the operator named, where no address is forbidden.
    pub(super) is_own: bool,
}

impl Location {
    /// Reads an address that a stranger wrote.
    pub(super) fn of_stranger(
        text: &str,
        gateway: Option<&Url>,
        reach: &Reach,
    ) -> Result<Self, Error> {
        let url = parse(text)?;
        if url.scheme() == "ipfs" {
            let gateway = gateway.ok_or(Error::NoGateway)?;
            return Ok(Self {
                url: through(gateway, &url)?,
                is_own: true,
            });
        }
        check(&url, reach)?;
        Ok(Self { url, is_own: false })
    }

    /// Reads an address at an origin that the publisher named.
    pub(super) fn of_publisher(text: &str) -> Result<Self, Error> {
        let url = parse(text)?;
        if url.scheme() != "https" {
            return Err(Error::Address("it is not https"));
        }
        Ok(Self { url, is_own: true })
    }

    /// Where a redirect from here leads. Within the same origin it stays what it was; anywhere else is a stranger's word.
    pub(super) fn redirected(&self, to: &str, reach: &Reach) -> Result<Self, Error> {
        plain(to)?;
        let url = self
            .url
            .join(to)
            .map_err(|_| Error::Address("a redirect leads to something that is no URL"))?;
        if self.is_own && url.origin() == self.url.origin() {
            return Ok(Self { url, is_own: true });
        }
        check(&url, reach)?;
        Ok(Self { url, is_own: false })
    }
}

/// Parsers leave out blanks, tabs and line ends, and read a backslash as a slash; two of them could understand two hosts.
fn plain(text: &str) -> Result<(), Error> {
    let odd = |byte: u8| byte <= b' ' || byte == 0x7f || byte == b'\\';
    if text.len() > LONGEST {
        return Err(Error::Address("it is longer than 2048 bytes"));
    }
    if text.bytes().any(odd) {
        return Err(Error::Address(
            "it holds blanks, control characters or a backslash",
        ));
    }
    Ok(())
}

fn parse(text: &str) -> Result<Url, Error> {
    plain(text)?;
    Url::parse(text).map_err(|_| Error::Address("it is no URL"))
}

fn check(url: &Url, reach: &Reach) -> Result<(), Error> {
    if url.scheme() != "https" {
        return Err(Error::Address("it is neither https nor ipfs"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::Address("it holds a user or a password"));
    }
    // Below 1024 speak mail, shells and the like; TLS to them is an attempt to be understood as something else.
    if url.port().is_some_and(|port| port < 1024) {
        return Err(Error::Address("its port is neither 443 nor above 1023"));
    }
    let literal = |address: IpAddr| {
        reach
            .refusal(address)
            .map_or(Ok(()), |kind| Err(Error::Address(kind)))
    };
    match url.host() {
        Some(Host::Ipv4(address)) => literal(address.into()),
        Some(Host::Ipv6(address)) => literal(address.into()),
        Some(Host::Domain(name)) => is_public_name(name)
            .then_some(())
            .ok_or(Error::Address("its host is not a public name")),
        None => Err(Error::Address("it has no host")),
    }
}

/// Whether a name, as the URL standard has normalised it, can belong to a public server. A name of one label, or with a dot at its
/// end, would be completed or looked up in ways of this machine's own.
fn is_public_name(name: &str) -> bool {
    let inside = |suffix: &&str| {
        name.strip_suffix(*suffix)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    name.contains('.') && !name.ends_with('.') && !INSIDE.iter().any(inside)
}

/// An `ipfs://` address at the gateway, by path. Its content id is letters and digits in every encoding that is in use.
fn through(gateway: &Url, ipfs: &Url) -> Result<Url, Error> {
    let cid = ipfs.host_str().unwrap_or_default();
    let is_cid =
        !cid.is_empty() && cid.len() <= 128 && cid.bytes().all(|it| it.is_ascii_alphanumeric());
    let is_bare = ipfs.username().is_empty() && ipfs.password().is_none() && ipfs.port().is_none();
    if !is_cid || !is_bare {
        return Err(Error::Address("it is no ipfs:// and content id"));
    }
    let path = format!("ipfs/{cid}{}", ipfs.path());
    gateway
        .join(&path)
        .ok()
        .filter(|url| url.origin() == gateway.origin() && url.path().contains(cid))
        .ok_or(Error::Address("it is no ipfs:// and content id"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        let gateway = Url::parse("http://ipfs.internal:8080/").unwrap();
        Location::of_stranger(text, Some(&gateway), &Reach::public())
            .map(|location| location.url.to_string())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn plain_addresses_are_followed() {
        for (text, url) in [
            (
                "https://documents.example/a?b=c",
                "https://documents.example/a?b=c",
            ),
            (
                "HTTPS://Documents.Example:443/",
                "https://documents.example/",
            ),
            (
                "https://documents.example:8443/",
                "https://documents.example:8443/",
            ),
            ("https://1.1.1.1/d", "https://1.1.1.1/d"),
            ("https://[2606:4700::1111]/d", "https://[2606:4700::1111]/d"),
            (
                "ipfs://bafkreiAB12/a/b.json",
                "http://ipfs.internal:8080/ipfs/bafkreiAB12/a/b.json",
            ),
        ] {
            assert_eq!(read(text).as_deref(), Ok(url), "{text}");
        }
    }

    #[test]
    fn tricks_with_urls_are_refused() {
        for (text, part) in [
            ("http://documents.example/", "neither https nor ipfs"),
            ("ftp://documents.example/", "neither https nor ipfs"),
            ("file:///etc/passwd", "neither https nor ipfs"),
            ("gopher://documents.example/", "neither https nor ipfs"),
            ("https://user@documents.example/", "user or a password"),
            ("https://:word@documents.example/", "user or a password"),
            ("https://documents.example@10.0.0.1/", "user or a password"),
            ("https://documents.example:22/", "its port"),
            ("https://documents.example:80/", "its port"),
            ("https://127.0.0.1/", "loopback"),
            ("https://2130706433/", "loopback"),
            ("https://0x7f000001/", "loopback"),
            ("https://0177.0.0.1/", "loopback"),
            ("https://127.1/", "loopback"),
            ("https://127.0.0.1./", "loopback"),
            ("https://\u{ff11}27.0.0.1/", "loopback"),
            ("https://169.254.169.254/latest/meta-data", "link-local"),
            ("https://[::1]/", "loopback"),
            ("https://[::ffff:7f00:1]/", "IPv4 address inside"),
            ("https://[64:ff9b::a00:1]/", "not a global one"),
            ("https://localhost/", "not a public name"),
            ("https://a.localhost/", "not a public name"),
            ("https://metadata.google.internal/", "not a public name"),
            ("https://kubernetes/", "not a public name"),
            (
                "https://kubernetes.default.svc.cluster.local/",
                "not a public name",
            ),
            ("https://documents.example./", "not a public name"),
            ("https://documents.example\\@evil.example/", "backslash"),
            ("https://docu\tments.example/", "control characters"),
            (" https://documents.example/", "blanks"),
            ("https://documents.example/\0", "control characters"),
            ("https://", "no URL"),
            ("https://%00/", "no URL"),
            ("documents.example", "no URL"),
            ("ipfs://../secret", "content id"),
            ("ipfs://a.b/", "content id"),
            ("ipfs://user@bafk/", "content id"),
            ("ipfs://bafk/../../../admin/%2e%2e/..", ""),
        ] {
            match read(text) {
                Err(sentence) => assert!(sentence.contains(part), "{text}: {sentence}"),
                Ok(url) => assert_eq!(url, "http://ipfs.internal:8080/ipfs/bafk/", "{text}"),
            }
        }
        let long = format!("https://documents.example/{}", "a".repeat(2048));
        assert!(read(&long).unwrap_err().contains("longer"));
        let without = Location::of_stranger("ipfs://bafk", None, &Reach::public());
        assert!(matches!(without, Err(Error::NoGateway)));
    }

    #[test]
    fn a_redirect_is_a_new_address() {
        let reach = Reach::public();
        let own = Location::of_publisher("https://aquarius.lan/api").unwrap();
        assert!(own.redirected("/other", &reach).unwrap().is_own);
        assert!(own.redirected("https://10.0.0.1/", &reach).is_err());
        assert!(own.redirected("http://aquarius.lan/api", &reach).is_err());
        assert!(
            !own.redirected("https://documents.example/", &reach)
                .unwrap()
                .is_own
        );
        let strangers =
            Location::of_stranger("https://documents.example/a/b", None, &reach).unwrap();
        let next = strangers.redirected("../c", &reach).unwrap();
        assert_eq!(next.url.as_str(), "https://documents.example/c");
        for bad in [
            "//127.0.0.1/",
            "https://u@documents.example/",
            "http://documents.example/",
            "https://[",
            "a b",
            "javascript:alert(1)",
            "data:application/json,{}",
            "ipfs://bafk",
        ] {
            assert!(strangers.redirected(bad, &reach).is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_address_panics(text in ".{0,80}", tail in "[ -~]{0,60}") {
            _ = read(&text);
            if let Ok(url) = read(&format!("https://{tail}")) {
                let url = Url::parse(&url).unwrap();
                proptest::prop_assert!(url.scheme() == "https" && url.username().is_empty());
            }
        }
    }
}
