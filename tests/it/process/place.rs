//! A whole service on a real chain and a real ledger, with the development engine: nothing else is needed.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tidewatch::ids::Did;
use tidewatch::keeper::Purchase;
use tidewatch::ledger::database::create_login;
use tidewatch::ledger::roles::{self, Ensured, Role};

use super::bench::DATA;
use crate::support::database::Database;
use crate::support::eventually;
use crate::support::keeper::Chain;
use crate::support::service::Service;

const TOKEN: &str = "an-operators-token-for-tests";

/// One test's place.
pub(super) struct Place {
    pub(super) chain: Chain,
    pub(super) database: Database,
    pub(super) did: Did,
    directory: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

impl Place {
    pub(super) async fn start() -> Self {
        let chain = Chain::start().await;
        let database = Database::create().await;
        assert_eq!(
            roles::ensure(&database.ledger).await.unwrap(),
            Ensured::Done
        );
        let directory = tempfile::tempdir().unwrap();
        let open = std::fs::Permissions::from_mode(0o711);
        std::fs::set_permissions(directory.path(), open).unwrap();
        let did = chain.asset().await;
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(path("data.csv"), DATA).unwrap();
        let payee = chain.provider.address().to_string();
        let catalog = catalog(did, &path("data.csv"), &payee).to_string();
        std::fs::write(path("catalog.yaml"), catalog).unwrap();
        std::fs::write(path("keeper.yaml"), chain.deployment.to_yaml().unwrap()).unwrap();
        std::fs::write(path("token"), TOKEN).unwrap();
        let variables = [
            ("DATABASE_URL", login(&database, Role::Writer).await),
            (
                "TIDEWATCH_API_DATABASE_URL",
                login(&database, Role::Reader).await,
            ),
            ("TIDEWATCH_RPC_URLS", chain.node.url().to_string()),
            ("TIDEWATCH_KEEPER", path("keeper.yaml")),
            ("TIDEWATCH_CATALOG", path("catalog.yaml")),
            ("TIDEWATCH_OPERATOR_TOKEN_FILE", path("token")),
            ("TIDEWATCH_ENGINE", "process".to_owned()),
            ("TIDEWATCH_PROCESS_DIR", path("jobs")),
            (
                "TIDEWATCH_RESULTS_URL",
                format!("file://{}", path("results")),
            ),
        ];
        let named = variables.map(|(name, value)| (name.to_owned(), value));
        Self {
            chain,
            database,
            did,
            variables: named.into(),
            directory,
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(super) fn variables(&self) -> &[(String, String)] {
        &self.variables
    }

    pub(super) async fn service(&self, name: &str) -> Service {
        self.service_with(name, &[]).await
    }

    /// The same with these variables set too.
    pub(super) async fn service_with(&self, name: &str, more: &[(&str, &str)]) -> Service {
        let mut variables = self.variables.clone();
        let more = more.iter();
        variables.extend(more.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Service::start(&variables, self.directory.path(), name).await
    }

    /// The consumer buys a run of this line of shell.
    pub(super) async fn buy(&self, shell: &str) -> Purchase {
        let purchase = self.chain.order(self.did);
        let document = document(self.did, shell).to_string();
        let value = format!(
            "data:application/json;base64,{}",
            base64(document.as_bytes())
        );
        self.chain.document(&purchase, value.as_bytes()).await;
        self.chain.buy(&purchase).await;
        purchase
    }

    /// The job of a purchase, once it is as wanted; a block is mined before each look.
    pub(super) async fn job_when(
        &self,
        service: &Service,
        purchase: &Purchase,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let path = format!("/v1/jobs?agreementId={}", purchase.agreement);
        eventually(what, Duration::from_secs(90), || async {
            self.chain.node.mine(1).await;
            let page: Value = self.get(service, &path).await.json().await.unwrap();
            let jobs = page["jobs"].as_array().unwrap();
            assert!(jobs.len() < 2, "one condition has one job: {page:#}");
            let job = jobs.first()?;
            wanted(job).then(|| job.clone())
        })
        .await
    }

    pub(super) async fn finished(&self, service: &Service, purchase: &Purchase) -> Value {
        let over = |job: &Value| job["phase"] == "finished";
        self.job_when(service, purchase, "the job is finished", over)
            .await
    }

    pub(super) async fn get(&self, service: &Service, path: &str) -> reqwest::Response {
        let request = reqwest::Client::new().get(format!("{}{path}", service.api));
        request.bearer_auth(TOKEN).send().await.unwrap()
    }

    /// How often the job's algorithm wrote that it was started.
    pub(super) fn starts(&self, job: &str) -> String {
        let starts = format!("jobs/jobs/{job}/attempts/1/data/outputs/starts");
        std::fs::read_to_string(self.path(&starts)).unwrap_or_default()
    }
}

async fn login(database: &Database, role: Role) -> String {
    let own = database.url.rsplit('/').next().unwrap();
    let name = format!("{own}_{role}");
    create_login(&database.url, &name, "test", role)
        .await
        .unwrap()
}

fn document(did: Did, shell: &str) -> Value {
    json!({"main": {"type": "workflow", "workflow": {"stages": [{
        "index": 0,
        "input": [{"index": 0, "id": did.to_string()}],
        "transformation": {
            "rawcode": shell,
            "container": {"image": "busybox", "tag": "1.36", "entrypoint": "sh $ALGO"},
        },
        "requirements": {"cpu": "100m", "memory": "64Mi", "maxExecutionSeconds": 60},
        "output": {},
    }]}}})
}

fn catalog(did: Did, data: &str, payee: &str) -> Value {
    let checksum = format!("sha256:{}", alloy::hex::encode(Sha256::digest(DATA)));
    json!({
        "schemaVersion": 1,
        "policy": {
            "payees": [payee],
            "images": ["busybox"],
            "resources": {"cpu": "500m", "memory": "128Mi", "disk": "64Mi", "maxExecutionSeconds": 300},
        },
        "assets": [{
            "did": did.to_string(),
            "minimumPrice": "10",
            "files": [{"url": format!("file://{data}"), "checksum": checksum, "contentType": "text/csv"}],
            "privacy": {"allowRawAlgorithm": true},
            "release": {"results": "raw", "logs": "raw"},
        }],
    })
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
