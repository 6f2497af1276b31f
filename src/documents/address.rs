use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Which IP addresses may be connected to on a stranger's word.
#[derive(Clone, Debug)]
pub(super) struct Reach {
    also: Vec<IpAddr>,
}

impl Reach {
    /// Public ones.
    pub(super) const fn public() -> Self {
        Self { also: Vec::new() }
    }

    /// Public ones, and these.
    pub(super) const fn also(addresses: Vec<IpAddr>) -> Self {
        Self { also: addresses }
    }

    /// What kind of address it is, when it may not be connected to.
    pub(super) fn refusal(&self, address: IpAddr) -> Option<&'static str> {
        if self.also.contains(&address) {
            return None;
        }
        match address {
            IpAddr::V4(address) => refusal_v4(address),
            IpAddr::V6(address) => refusal_v6(address),
        }
    }
}

/// A network: its first address, its length in bits, and what it is.
type Net<A> = (A, u32, &'static str);

/// Everything in the IANA IPv4 Special-Purpose Address Registry that is not globally reachable, multicast and class E, and the one
/// public address at which a cloud serves its machines (Azure's 168.63.129.16).
const V4: [Net<Ipv4Addr>; 17] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, "this network"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, PRIVATE),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "a carrier's own address"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, LOOPBACK),
    (Ipv4Addr::new(168, 63, 129, 16), 32, "a cloud's own address"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "a link-local address"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, PRIVATE),
    (Ipv4Addr::new(192, 0, 0, 0), 24, RESERVED),
    (Ipv4Addr::new(192, 0, 2, 0), 24, RESERVED),
    (Ipv4Addr::new(192, 31, 196, 0), 24, RESERVED),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "a relay's address"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, PRIVATE),
    (Ipv4Addr::new(198, 18, 0, 0), 15, RESERVED),
    (Ipv4Addr::new(198, 51, 100, 0), 24, RESERVED),
    (Ipv4Addr::new(203, 0, 113, 0), 24, RESERVED),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "a multicast address"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, RESERVED),
];

/// Inside of the one block of global unicast addresses, what the IANA IPv6 Special-Purpose Address Registry takes out of it: among
/// them the ways to hide an IPv4 address in one (Teredo in 2001::/23, 6to4).
const V6: [Net<Ipv6Addr>; 5] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, RESERVED),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, RESERVED),
    (
        Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0),
        16,
        "a 6to4 address",
    ),
    (
        Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0),
        48,
        RESERVED,
    ),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, RESERVED),
];

/// All that is assigned as global unicast. Outside of it lie loopback, private (fc00::/7), link-local, multicast, mapped IPv4
/// (::ffff:0:0/96) and NAT64 (64:ff9b::/96).
const GLOBAL: Net<Ipv6Addr> = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3, "");

const PRIVATE: &str = "a private address";
const LOOPBACK: &str = "a loopback address";
const RESERVED: &str = "a reserved address";

fn refusal_v4(address: Ipv4Addr) -> Option<&'static str> {
    let within = |(first, length, _): &&Net<Ipv4Addr>| {
        (u32::from(address) ^ u32::from(*first)) >> (32 - length) == 0
    };
    V4.iter().find(within).map(|(_, _, kind)| *kind)
}

fn refusal_v6(address: Ipv6Addr) -> Option<&'static str> {
    let within = |(first, length, _): &&Net<Ipv6Addr>| {
        (u128::from(address) ^ u128::from(*first)) >> (128 - length) == 0
    };
    if !within(&&GLOBAL) {
        return Some(match address {
            Ipv6Addr::LOCALHOST => LOOPBACK,
            _ if address.to_ipv4_mapped().is_some() => "an IPv4 address inside of an IPv6 one",
            _ => "an IPv6 address that is not a global one",
        });
    }
    V6.iter().find(within).map(|(_, _, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_connected_to() {
        let refused = [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.100.100.200",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::7f00:1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::a00:1",
            "100::1",
            "2001::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ];
        for text in refused {
            assert!(
                Reach::public().refusal(text.parse().unwrap()).is_some(),
                "{text}"
            );
        }
        let allowed = [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "128.0.0.1",
            "168.63.129.17",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.1",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2001:4860:4860::8888",
            "2606:4700::1111",
            "2a00::1",
        ];
        for text in allowed {
            assert_eq!(
                Reach::public().refusal(text.parse().unwrap()),
                None,
                "{text}"
            );
        }
    }

    #[test]
    fn an_exception_is_one_address() {
        let reach = Reach::also(vec!["127.0.0.1".parse().unwrap()]);
        assert_eq!(reach.refusal("127.0.0.1".parse().unwrap()), None);
        for other in ["127.0.0.2", "::1", "::ffff:127.0.0.1"] {
            assert!(reach.refusal(other.parse().unwrap()).is_some(), "{other}");
        }
    }
}
