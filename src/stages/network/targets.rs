use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Error, failed, replace};

/// Port of the kubelet's own server on every node (Kubernetes, "Ports and Protocols").
const KUBELET_PORT: u16 = 10250;
/// Port of DNS (RFC 1035).
const DNS_PORT: u16 = 53;
/// Where clouds serve a node's credentials: link-local in AWS, GCP, Azure, and their like.
const METADATA: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)), 80);
/// Where the kubelet tells a pod its name servers (resolv.conf(5)).
const NAME_SERVERS: &str = "/etc/resolv.conf";

/// A kind of address that an algorithm could speak to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::stages) enum Kind {
    /// The Kubernetes API.
    ApiServer,
    /// The node that the pod runs on.
    Node,
    /// The cluster's name server, by datagram.
    DnsUdp,
    /// The cluster's name server, by stream.
    DnsTcp,
    /// The cloud's metadata service.
    Metadata,
    /// The node by IPv6, which policies are known to forget.
    Ipv6,
}

impl Kind {
    /// The word for people; the same as in the files.
    pub(in crate::stages) const fn as_str(self) -> &'static str {
        match self {
            Self::ApiServer => "api_server",
            Self::Node => "node",
            Self::DnsUdp => "dns_udp",
            Self::DnsTcp => "dns_tcp",
            Self::Metadata => "metadata",
            Self::Ipv6 => "ipv6",
        }
    }

    /// Whether it is asked by datagram.
    pub(super) const fn is_datagram(self) -> bool {
        matches!(self, Self::DnsUdp)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One address to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::stages) struct Target {
    /// What it stands for.
    pub(in crate::stages) kind: Kind,
    /// The address.
    pub(in crate::stages) address: SocketAddr,
}

/// What a pod is told of its surroundings by Kubernetes, as the stage's command line has it.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Address of the API server: `KUBERNETES_SERVICE_HOST`, which the kubelet gives every container.
    pub api_host: Option<String>,
    /// Its port: `KUBERNETES_SERVICE_PORT`.
    pub api_port: Option<u16>,
    /// The node's addresses, separated by commas: the pod's `status.hostIPs`.
    pub node_addresses: Option<String>,
}

/// The addresses to ask from one pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(in crate::stages) struct Targets(pub(in crate::stages) Vec<Target>);

impl Targets {
    /// Finds out what there is around this pod. What is not known is left out: the control tells whether anything is left.
    pub(in crate::stages) fn discover(around: &Surroundings) -> Self {
        // A pod without name servers has no such file, or an empty one.
        let name_servers = std::fs::read_to_string(NAME_SERVERS).unwrap_or_default();
        Self::of(around, &name_servers)
    }

    fn of(around: &Surroundings, name_servers: &str) -> Self {
        let mut targets = Vec::new();
        let mut add = |kind, ip, port| {
            targets.push(Target {
                kind,
                address: SocketAddr::new(ip, port),
            });
        };
        if let (Some(host), Some(port)) = (&around.api_host, around.api_port)
            && let Ok(ip) = host.parse()
        {
            add(Kind::ApiServer, ip, port);
        }
        for address in around.node_addresses.iter().flat_map(|all| all.split(',')) {
            match address.trim().parse() {
                Ok(ip @ IpAddr::V4(_)) => add(Kind::Node, ip, KUBELET_PORT),
                Ok(ip @ IpAddr::V6(_)) => add(Kind::Ipv6, ip, KUBELET_PORT),
                Err(_) => {}
            }
        }
        if let Some(ip) = first_name_server(name_servers) {
            add(Kind::DnsUdp, ip, DNS_PORT);
            add(Kind::DnsTcp, ip, DNS_PORT);
        }
        add(Kind::Metadata, METADATA.ip(), METADATA.port());
        Self(targets)
    }

    /// Writes them for the guard.
    pub(in crate::stages) fn write(&self, path: &Path) -> Result<(), Error> {
        let bytes = serde_json::to_vec(self).map_err(failed("write", path))?;
        replace(path, &bytes)
    }

    /// Reads what was written.
    pub(in crate::stages) fn read(path: &Path) -> Result<Self, Error> {
        let bytes = std::fs::read(path).map_err(failed("read", path))?;
        serde_json::from_slice(&bytes).map_err(failed("read", path))
    }
}

fn first_name_server(text: &str) -> Option<IpAddr> {
    let mut servers = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()?.parse().ok())?
    });
    servers.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(targets: &Targets) -> Vec<String> {
        let show = |target: &Target| format!("{} {}", target.kind, target.address);
        targets.0.iter().map(show).collect()
    }

    #[test]
    fn everything_that_is_known_of_the_surroundings_is_asked() {
        let around = Surroundings {
            api_host: Some("10.96.0.1".to_owned()),
            api_port: Some(443),
            node_addresses: Some("10.88.0.1,fd00::1".to_owned()),
        };
        let targets = Targets::of(&around, "# none\nsearch x\nnameserver 10.96.0.10\n");
        let expected = [
            "api_server 10.96.0.1:443",
            "node 10.88.0.1:10250",
            "ipv6 [fd00::1]:10250",
            "dns_udp 10.96.0.10:53",
            "dns_tcp 10.96.0.10:53",
            "metadata 169.254.169.254:80",
        ];
        assert_eq!(shown(&targets), expected);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("targets.json");
        targets.write(&path).unwrap();
        assert_eq!(Targets::read(&path).unwrap(), targets);
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let targets = Targets::of(&Surroundings::default(), "");
        assert_eq!(shown(&targets), ["metadata 169.254.169.254:80"]);
        let around = Surroundings {
            api_host: Some("$(KUBERNETES_SERVICE_HOST)".to_owned()),
            api_port: Some(443),
            node_addresses: Some("unknown".to_owned()),
        };
        assert_eq!(Targets::of(&around, "nameserver\n").0.len(), 1);
    }
}
