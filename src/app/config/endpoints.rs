use std::collections::BTreeSet;

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
                "is {quorum}, but TIDEWATCH_RPC_URLS names nodes of {operators} different hosts: name more, or ask for fewer"
            ),
        );
    }
    quorum
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

    #[tokio::test]
    async fn a_quorum_needs_as_many_hosts() {
        let urls = [
            "http://a.example/key",
            "https://a.example",
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
                .contains("names nodes of 2 different hosts")
        );
        assert!(read(Some("0")).1.contains("not a whole number from 1"));
        assert!(!read(Some("3")).1.contains("key"));
    }
}
