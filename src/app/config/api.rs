use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use super::engine::is_store;
use super::service::read_address;
use super::{Environment, Faults, Secret, ServiceOptions, read_endpoints};
use crate::api::{Origin, SHORTEST_KEY};
use crate::results;

/// The API.
#[derive(Debug)]
pub struct ApiConfig {
    /// The reader's own login.
    pub database_url: Secret,
    /// Where it listens.
    pub listen: SocketAddr,
    /// File with the operators' token.
    pub operator_token_file: Option<PathBuf>,
    /// Where people find it; `None`: where it listens.
    pub origin: Option<Origin>,
    /// File with the secret that sign-ins rest on; `None`: a random one.
    pub session_key_file: Option<PathBuf>,
    /// Where results lie, if that was said.
    pub results: Option<ResultsConfig>,
    /// Most requests a second from one address; `None`: any number.
    pub rate: Option<NonZeroU32>,
    /// The nodes' endpoints, if any were named and no other role asks them: for what no event tells, and for the signatures of
    /// contract wallets. They can hold a key.
    pub rpc_urls: Vec<Secret>,
}

/// Where the API reads results.
#[derive(Debug)]
pub struct ResultsConfig {
    /// The store's address.
    pub url: String,
    /// This process's own options for it. A credential that can only read is enough.
    pub options: results::Options,
    /// File with certificate authorities to trust besides the system's.
    pub ca_file: Option<PathBuf>,
}

/// Requests a second from one address unless said otherwise: a person with a page open asks for a few.
const USUAL_RATE: u32 = 50;

pub(super) fn read_api(
    options: &ServiceOptions,
    environment: &Environment,
    is_without_chain: bool,
    faults: &mut Faults,
) -> Option<ApiConfig> {
    let database_url = environment.secret("TIDEWATCH_API_DATABASE_URL", faults);
    if database_url.is_none() {
        faults.add(
            "TIDEWATCH_API_DATABASE_URL",
            "is required: the reader's own login; there is no fallback to the writer's",
        );
    }
    let listen = read_address(
        options.api_listen.as_deref(),
        "127.0.0.1:8080",
        "TIDEWATCH_API_LISTEN",
        faults,
    );
    let rate = options
        .api_rate
        .as_deref()
        .map_or(Ok(USUAL_RATE), str::parse);
    let rate = rate.map_err(|_| {
        "must be a number of requests a second from one address; 0: any number".to_owned()
    });
    let rate = faults.check("TIDEWATCH_API_RATE", rate);
    let origin = options.api_origin.as_deref().map(str::parse::<Origin>);
    let origin = origin.and_then(|origin| faults.check("TIDEWATCH_API_ORIGIN", origin));
    check_session_key(options.api_session_key_file.as_deref(), faults);
    // A node is asked only for what no event tells, so the API runs without one.
    let has_nodes =
        options.rpc_urls.is_some() || environment.get("TIDEWATCH_RPC_URLS_FILE").is_some();
    let rpc_urls = match has_nodes && is_without_chain {
        true => read_endpoints(options.rpc_urls.as_deref(), environment, faults),
        false => Vec::new(),
    };
    Some(ApiConfig {
        database_url: database_url?,
        listen: listen?,
        operator_token_file: options.operator_token_file.clone(),
        origin,
        session_key_file: options.api_session_key_file.clone(),
        results: read_results(options, environment, faults),
        rate: NonZeroU32::new(rate?),
        rpc_urls,
    })
}

/// The file is read anew at every use, but one that will never do should be told of at once.
fn check_session_key(file: Option<&Path>, faults: &mut Faults) {
    let Some(file) = file else { return };
    let variable = "TIDEWATCH_API_SESSION_KEY_FILE";
    match std::fs::read(file) {
        Ok(content) if content.trim_ascii().len() >= SHORTEST_KEY => {}
        Ok(_) => faults.add(
            variable,
            format!("must name a file with at least {SHORTEST_KEY} random characters, such as `openssl rand -hex 32` writes"),
        ),
        Err(error) => faults.add(
            variable,
            format!("names {}, which cannot be read: {error}", file.display()),
        ),
    }
}

fn read_results(
    options: &ServiceOptions,
    environment: &Environment,
    faults: &mut Faults,
) -> Option<ResultsConfig> {
    let url = options.results_url.clone()?;
    if !is_store(&url) {
        faults.add(
            "TIDEWATCH_RESULTS_URL",
            "must say where results lie: s3://bucket/prefix, gs://bucket/prefix or az://container/prefix",
        );
        return None;
    }
    Some(ResultsConfig {
        url,
        options: results::Options::among(environment.variables()),
        ca_file: options.ca_file.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(options: &ServiceOptions) -> String {
        let mut faults = Faults::default();
        let environment = [(
            "TIDEWATCH_API_DATABASE_URL".to_owned(),
            "postgres://reader@host/ledger".to_owned(),
        )];
        let config = read_api(
            options,
            &environment.into_iter().collect(),
            true,
            &mut faults,
        );
        assert!(config.is_some());
        faults.to_string()
    }

    #[test]
    fn what_sign_ins_rest_on_is_checked_before_the_service_starts() {
        let key = tempfile::NamedTempFile::new().unwrap();
        let with = |origin: &str, file: &Path| ServiceOptions {
            api_origin: Some(origin.to_owned()),
            api_session_key_file: Some(file.to_owned()),
            ..ServiceOptions::default()
        };
        std::fs::write(key.path(), "0123456789abcdef0123456789abcdef\n").unwrap();
        let right = told(&with("https://data.example", key.path()));
        assert!(!right.contains("TIDEWATCH_"), "{right}");
        std::fs::write(key.path(), "0123456789abcdef0123456789abcde\n\n").unwrap();
        let wrong = told(&with("https://data.example/api", key.path()));
        assert!(
            wrong.contains("TIDEWATCH_API_ORIGIN must be an origin"),
            "{wrong}"
        );
        assert!(
            wrong.contains("TIDEWATCH_API_SESSION_KEY_FILE must name a file with at least 32"),
            "{wrong}"
        );
        let missing = told(&with("https://data.example", Path::new("/nowhere/key")));
        assert!(
            missing.contains("/nowhere/key, which cannot be read"),
            "{missing}"
        );
    }
}
