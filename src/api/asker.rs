use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, header};
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The proxies that are believed when they say whom they ask for; whoever runs on this machine is one of them.
#[derive(Clone, Debug, Default)]
pub(super) struct TrustedProxies(Vec<IpNet>);

/// Who asks, as far as limits are concerned; `None`: this machine itself, which is not limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asker(Option<IpAddr>);

impl TrustedProxies {
    pub(super) fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.0.iter().any(|network| network.contains(&address))
    }
}

impl Asker {
    /// This machine itself.
    #[cfg(test)]
    pub(super) const HERE: Self = Self(None);

    /// Somebody at an address, with all others who may have it too: who has one address of IPv6 has 2^64 of them.
    pub(super) fn at(address: IpAddr) -> Self {
        Self(Some(match address {
            IpAddr::V4(_) => address,
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::from([a, b, c, d, 0, 0, 0, 0])
            }
        }))
    }

    pub(super) const fn address(self) -> Option<IpAddr> {
        self.0
    }

    /// Who asks through the connection with `peer`. Anybody could say that he asks for somebody else, so only proxies are believed.
    ///
    /// Every proxy adds at the end whom it heard, so it is gone from there past those that are trusted themselves. A proxy that
    /// writes one of the two headers passes the other on as a stranger wrote it: when both are there and name different addresses,
    /// neither counts.
    pub(super) fn of(peer: Option<IpAddr>, headers: &HeaderMap, proxies: &TrustedProxies) -> Self {
        let Some(peer) = peer.map(|peer| peer.to_canonical()) else {
            return Self(None);
        };
        if !proxies.trusts(peer) {
            return Self::at(peer);
        }
        let by_standard = named(headers, &header::FORWARDED, forwarded_for, proxies);
        let by_custom = named(headers, &X_FORWARDED_FOR, address, proxies);
        match (by_standard, by_custom) {
            (Named::Nobody, Named::Nobody) if peer.is_loopback() => Self(None),
            (Named::Somebody(one), Named::Somebody(other)) if one == other => Self::at(one),
            (Named::Somebody(one), Named::Nobody) | (Named::Nobody, Named::Somebody(one)) => {
                Self::at(one)
            }
            _ => Self::at(peer),
        }
    }
}

/// Whom a header names.
enum Named {
    /// It is not there.
    Nobody,
    /// It cannot be read.
    Unreadable,
    /// The last in it who is no trusted proxy; the first, if all are.
    Somebody(IpAddr),
}

fn named(
    headers: &HeaderMap,
    header: &HeaderName,
    read: impl Fn(&str) -> Option<IpAddr>,
    proxies: &TrustedProxies,
) -> Named {
    let mut named = Named::Nobody;
    for value in headers.get_all(header).iter().rev() {
        let Ok(text) = value.to_str() else {
            return Named::Unreadable;
        };
        for entry in text.rsplit(',') {
            let Some(address) = read(entry.trim()) else {
                return Named::Unreadable;
            };
            named = Named::Somebody(address);
            if !proxies.trusts(address) {
                return named;
            }
        }
    }
    named
}

/// The `for` of an element of `Forwarded` (RFC 7239 section 4).
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let pair = element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then_some(value)
    });
    address(pair?.trim().trim_matches('"'))
}

/// An address, with or without a port; one of IPv6 may stand in brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    let alone = bare.parse::<IpAddr>().ok();
    let address = alone.or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANDARD: &str = "forwarded";
    const CUSTOM: &str = "x-forwarded-for";

    fn asker(peer: &str, told: &[(&'static str, &str)]) -> Asker {
        let proxies = ["10.0.0.0/8", "2001:db8:1::/48"].map(|network| network.parse().unwrap());
        let proxies = TrustedProxies::new(proxies.to_vec());
        let mut headers = HeaderMap::new();
        for (name, value) in told {
            headers.append(*name, value.parse().unwrap());
        }
        Asker::of(Some(peer.parse().unwrap()), &headers, &proxies)
    }

    fn at(address: &str) -> Asker {
        Asker::at(address.parse().unwrap())
    }

    #[test]
    fn only_this_machine_and_trusted_proxies_are_believed_whom_they_ask_for() {
        let told = [(CUSTOM, "198.51.100.1, 203.0.113.9")];
        for proxy in ["127.0.0.1", "::ffff:127.0.0.1", "10.1.2.3", "2001:db8:1::7"] {
            assert_eq!(asker(proxy, &told), at("203.0.113.9"), "{proxy}");
        }
        assert_eq!(asker("192.0.2.7", &told), at("192.0.2.7"));
        assert_eq!(asker("127.0.0.1", &[]), Asker::HERE);
        assert_eq!(asker("10.1.2.3", &[]), at("10.1.2.3"));
        assert_eq!(asker("2001:db8::1", &[]), asker("2001:db8::2", &[]));
    }

    #[test]
    fn it_is_gone_past_trusted_proxies_to_the_first_who_is_none() {
        let chain = [
            (CUSTOM, "198.51.100.1, 203.0.113.9"),
            (CUSTOM, "10.9.9.9, 10.8.8.8"),
        ];
        assert_eq!(asker("10.1.2.3", &chain), at("203.0.113.9"));
        assert_eq!(asker("10.1.2.3", &[(CUSTOM, "10.9.9.9")]), at("10.9.9.9"));
    }

    #[test]
    fn both_headers_are_read_in_every_form_of_an_address() {
        for told in [
            (STANDARD, "for=192.0.2.60;proto=http;by=203.0.113.43"),
            (STANDARD, "proto=https; For=\"192.0.2.60:4711\""),
            (CUSTOM, "192.0.2.60:80"),
            (CUSTOM, "::ffff:192.0.2.60"),
        ] {
            assert_eq!(asker("10.1.2.3", &[told]), at("192.0.2.60"), "{told:?}");
        }
        let six = at("2001:db8:cafe::17");
        for told in [
            (STANDARD, "for=\"[2001:db8:cafe::17]:4711\""),
            (CUSTOM, "[2001:db8:cafe::17]"),
            (CUSTOM, "2001:db8:cafe::17"),
        ] {
            assert_eq!(asker("10.1.2.3", &[told]), six, "{told:?}");
        }
    }

    #[test]
    fn what_a_stranger_may_have_written_makes_nobody_else_of_him() {
        let proxy = at("10.1.2.3");
        for told in [
            [(CUSTOM, "192.0.2.1"), (STANDARD, "for=192.0.2.2")].as_slice(),
            &[(STANDARD, "for=unknown")],
            &[(STANDARD, "for=_hidden")],
            &[(STANDARD, "proto=http")],
            &[(CUSTOM, "somebody")],
            &[(CUSTOM, "")],
        ] {
            assert_eq!(asker("10.1.2.3", told), proxy, "{told:?}");
        }
        let agreed = [(CUSTOM, "192.0.2.1"), (STANDARD, "for=192.0.2.1")];
        assert_eq!(asker("10.1.2.3", &agreed), at("192.0.2.1"));
    }
}
