use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use url::Url;

use super::{Environment, Faults, Secret};
use crate::chain::Provider;

/// Reads the nodes' endpoints: the flag, which clap has merged with the variable already, else the twin file.
pub(in crate::app) fn read_endpoints(
    flag: Option<&str>,
    environment: &Environment,
    faults: &mut Faults,
) -> Vec<Secret> {
    let given = flag.map(Secret::new);
    let given = given.or_else(|| environment.secret("TIDEWATCH_RPC_URLS", faults));
    let urls: Vec<_> = given
        .as_ref()
        .map(|urls| urls.expose().split(',').map(|url| Secret::new(url.trim())))
        .into_iter()
        .flatten()
        .collect();
    if urls.is_empty() {
        faults.add(
            "TIDEWATCH_RPC_URLS",
            "is required: endpoints of nodes of the chain, separated by commas",
        );
    }
    for url in &urls {
        match Url::parse(url.expose()) {
            Ok(url) if matches!(url.scheme(), "http" | "https" | "ws" | "wss") => {}
            _ => faults.add(
                "TIDEWATCH_RPC_URLS",
                "holds something that is not an http://, https://, ws:// or wss:// URL",
            ),
        }
    }
    urls
}

/// Reads how many operators of nodes must agree. There must be as many: endpoints of one operator are one witness.
pub(in crate::app) fn read_quorum(
    flag: Option<&str>,
    endpoints: &[Secret],
    faults: &mut Faults,
) -> usize {
    let Some(text) = flag else { return 1 };
    let read = text.parse().ok().filter(|quorum| *quorum > 0);
    let read = read.ok_or_else(|| format!("is {text:?}, not a whole number from 1"));
    let quorum: usize = faults.check("TIDEWATCH_QUORUM", read).unwrap_or(1);
    let operators = count_operators(endpoints);
    if quorum > operators && !endpoints.is_empty() {
        faults.add(
            "TIDEWATCH_QUORUM",
            format!(
                "is {quorum}, but TIDEWATCH_RPC_URLS names nodes of {operators} different operators (by registered name, or address): name more, or ask for fewer"
            ),
        );
    }
    quorum
}

/// Reads networks: addresses with the length of their prefix, or alone for one machine.
pub(in crate::app) fn read_networks(
    flag: Option<&str>,
    variable: &str,
    faults: &mut Faults,
) -> Vec<IpNet> {
    let entries = flag.unwrap_or_default().split(',').map(str::trim);
    entries
        .filter(|entry| !entry.is_empty())
        .filter_map(|entry| {
            let alone = entry.parse::<IpAddr>().map(IpNet::from);
            let read = entry.parse().or(alone);
            let read = read.map_err(|_| {
                format!("names {entry:?}, which is no network such as 10.0.0.0/8 and no address")
            });
            faults.check(variable, read)
        })
        .collect()
}

/// How many different operators run the nodes, as far as their URLs tell.
fn count_operators(endpoints: &[Secret]) -> usize {
    let providers = endpoints
        .iter()
        .filter_map(|url| Provider::new(url.expose()).ok());
    let operators: BTreeSet<String> = providers
        .map(|provider| provider.operator().to_owned())
        .collect();
    operators.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_and_what_is_none_is_named() {
        let mut faults = Faults::default();
        let given = Some("10.0.0.0/8, 192.0.2.7,2001:db8::/32, 10.0.0.0/33, proxy.example");
        let read = read_networks(given, "TIDEWATCH_API_TRUSTED_PROXIES", &mut faults);
        let shown: Vec<_> = read.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"]);
        let told = faults.to_string();
        for wrong in ["\"10.0.0.0/33\"", "\"proxy.example\""] {
            assert!(told.contains(wrong), "{told}");
        }
    }

    #[tokio::test]
    async fn a_quorum_needs_as_many_operators() {
        let urls = [
            "http://eth.a.example/key",
            "https://sepolia.a.example",
            "http://b.example",
        ];
        let urls = urls.map(Secret::new);
        let read = |flag| {
            let mut faults = Faults::default();
            (read_quorum(flag, &urls, &mut faults), faults.to_string())
        };
        assert_eq!(read(None).0, 1);
        assert_eq!(read(Some("2")).0, 2);
        assert!(!read(Some("2")).1.contains("TIDEWATCH_QUORUM"));
        assert!(
            read(Some("3"))
                .1
                .contains("names nodes of 2 different operators")
        );
        assert!(read(Some("0")).1.contains("not a whole number from 1"));
        assert!(!read(Some("3")).1.contains("key"));
    }
}
