//! Who runs a node, as far as its URL tells.

use psl::Type;
use url::{Host, Url};

/// Who runs the node at a URL: the name that was registered for its host, or its address. Two nodes of one operator are one witness,
/// wherever readings, votes or second opinions are counted.
///
/// A name's registered part is the label before a suffix under which registries hand out names (`com`, `co.uk`), by the Public Suffix
/// List (<https://publicsuffix.org>). What owners of names hand out themselves (`github.io`) counts as theirs: too careful, never too
/// trusting. Of a name under no such suffix, as inside a cluster, the last two labels count. Nodes on this machine's own loopback
/// are told apart by their ports, since that is how several are run there.
pub(super) fn operator(url: &Url) -> Option<String> {
    let with_port = |host: &dyn std::fmt::Display| match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_string(),
    };
    Some(match url.host()? {
        Host::Domain(name) => match name.trim_end_matches('.').to_ascii_lowercase() {
            name if name == "localhost" || name.ends_with(".localhost") => with_port(&name),
            name => registered(&name).to_owned(),
        },
        Host::Ipv4(address) if address.is_loopback() => with_port(&address),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) if address.is_loopback() => with_port(&address),
        Host::Ipv6(address) => address.to_string(),
    })
}

/// The part of a name that somebody registered.
fn registered(name: &str) -> &str {
    let starts: Vec<usize> = std::iter::once(0)
        .chain(name.match_indices('.').map(|(dot, _)| dot + 1))
        .collect();
    let is_suffix = |tail: &str| {
        let suffix = psl::suffix(tail.as_bytes());
        suffix.is_some_and(|suffix| {
            suffix.typ() == Some(Type::Icann) && suffix.as_bytes() == tail.as_bytes()
        })
    };
    let suffix = starts.iter().position(|start| is_suffix(&name[*start..]));
    let registered = match suffix {
        Some(suffix) => suffix.saturating_sub(1),
        None => starts.len().saturating_sub(2),
    };
    &name[starts[registered]..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> String {
        operator(&Url::parse(url).unwrap()).unwrap()
    }

    #[test]
    fn an_operator_is_whoever_registered_the_name() {
        for (url, operator) in [
            ("https://mainnet.infura.io/v3/key", "infura.io"),
            ("wss://eth.node.Infura.io.", "infura.io"),
            ("https://nodes.one.co.uk", "one.co.uk"),
            ("https://two.co.uk:8545", "two.co.uk"),
            ("https://rpc.one.com.au", "one.com.au"),
            ("https://co.uk", "co.uk"),
            // handed out by the owner of the name: one operator
            ("https://a.herokuapp.com", "herokuapp.com"),
            ("https://b.s3.amazonaws.com", "amazonaws.com"),
        ] {
            assert_eq!(of(url), operator, "{url}");
        }
    }

    #[test]
    fn names_inside_and_addresses_are_told_apart_as_people_use_them() {
        for (url, operator) in [
            ("http://geth:8545", "geth"),
            ("http://a.node.example", "node.example"),
            (
                "http://geth.default.svc.cluster.local:8545",
                "cluster.local",
            ),
            ("http://10.0.0.7:8545", "10.0.0.7"),
            ("http://10.0.0.7:8546", "10.0.0.7"),
            ("http://[2001:db8::1]:8545", "2001:db8::1"),
            ("http://127.0.0.1:8545", "127.0.0.1:8545"),
            ("http://localhost:8546", "localhost:8546"),
            ("http://[::1]", "::1:80"),
        ] {
            assert_eq!(of(url), operator, "{url}");
        }
    }
}
