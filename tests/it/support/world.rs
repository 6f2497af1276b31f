//! Everything around one end-to-end test: a chain with the real contracts, a migrated database with its logins, a namespace in
//! the real cluster, a bucket in a real S3 server, a publisher's catalog, and services as child processes.

use std::path::Path;
use std::time::Duration;

use alloy::primitives::{Address, B256, U256, keccak256};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::{ObjectStoreExt, path::Path as Key};
use serde_json::{Value, json};
use tempfile::TempDir;
use tidewatch::app::anvil::Anvil;
use tidewatch::ids::{AgreementId, Did};
use tidewatch::keeper::Account;
use tidewatch::keeper::purchase::{self, Order, Purchase};
use tidewatch::ledger::database::create_login;
use tidewatch::ledger::roles::{self, Ensured, Role};

use super::cluster::{Namespace, store_options};
use super::database::Database;
use super::eventually;
use super::keeper::Chain;
use super::runtime::AlgorithmStarts;
use super::service::Service;
use super::{inputs, random_hash, required};

/// What the publisher's file holds; the tests' algorithms compute on it.
pub(crate) const DATA: &str = "city,litres\nFaro,12\nNazare,30\nSines,58\n";
/// The price that the catalog asks.
pub(crate) const PRICE: u64 = 10;
/// The operators' token.
pub(crate) const TOKEN: &str = "an-operators-token-for-tests";

/// One test's world.
pub(crate) struct World {
    /// The chain and its people.
    pub(crate) chain: Chain,
    /// The ledger.
    pub(crate) database: Database,
    /// The jobs' namespace.
    pub(crate) namespace: Namespace,
    /// The publisher's asset.
    pub(crate) did: Did,
    /// Starts of algorithms' containers in the namespace, since the world began.
    pub(crate) starts: AlgorithmStarts,
    /// Where the results lie.
    pub(crate) store: AmazonS3,
    directory: TempDir,
    variables: Vec<(String, String)>,
}

impl World {
    /// A world whose service may act as soon as a block is final.
    pub(crate) async fn start() -> Self {
        let chain = Chain::start().await;
        let database = Database::create().await;
        assert_eq!(
            roles::ensure(&database.ledger).await.unwrap(),
            Ensured::Done
        );
        let namespace = Namespace::create().await;
        let starts = AlgorithmStarts::listen(&namespace.name);
        let directory = tempfile::tempdir().unwrap();
        let store = bucket(&namespace);
        let did = register_asset(&chain).await;
        let tokens = purchase::mint(
            &chain.deployment.contracts,
            chain.consumer.address(),
            U256::from(1000),
        );
        chain.owner.send(tokens).await.unwrap();
        let path = |name: &str| directory.path().join(name);
        let input = inputs::serve(DATA.as_bytes()).await;
        let catalog = catalog(did, &input, &chain.provider.address().to_string());
        std::fs::write(
            path("catalog.yaml"),
            serde_json::to_string_pretty(&catalog).unwrap(),
        )
        .unwrap();
        std::fs::write(path("keeper.yaml"), chain.deployment.to_yaml().unwrap()).unwrap();
        std::fs::write(path("token"), TOKEN).unwrap();
        let text = |name: &str| path(name).to_str().unwrap().to_owned();
        let variables = [
            ("DATABASE_URL", login(&database, Role::Writer).await),
            (
                "TIDEWATCH_API_DATABASE_URL",
                login(&database, Role::Reader).await,
            ),
            ("TIDEWATCH_RPC_URLS", chain.node.url().to_string()),
            ("TIDEWATCH_KEEPER", text("keeper.yaml")),
            ("TIDEWATCH_CATALOG", text("catalog.yaml")),
            ("TIDEWATCH_OPERATOR_TOKEN_FILE", text("token")),
            ("KUBECONFIG", required("KUBECONFIG")),
            ("TIDEWATCH_NAMESPACE", namespace.name.clone()),
            ("TIDEWATCH_IMAGE", required("TIDEWATCH_IMAGE")),
            (
                "TIDEWATCH_RESULTS_URL",
                format!("s3://{}/out", namespace.name),
            ),
            ("TIDEWATCH_RESULTS_SECRET", "results".to_owned()),
        ];
        let variables = variables
            .into_iter()
            .chain(store_options())
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        Self {
            chain,
            database,
            namespace,
            did,
            starts,
            store,
            directory,
            variables,
        }
    }

    /// Sets a variable for the services started from now on.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// The variables that services are started with.
    pub(crate) fn variables(&self) -> &[(String, String)] {
        &self.variables
    }

    /// Where its files lie.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The consumer buys a job on the world's asset: registers the document, if any, under the agreement's id, creates the
    /// agreement, and pays; then the provider answers. One block per transaction.
    pub(crate) async fn buy(&self, workflow: Option<&Value>) -> Purchase {
        let bought = self.order(self.did, workflow).await;
        self.pay(&bought).await;
        self.answer(&bought).await;
        bought
    }

    /// The consumer's part before the payment.
    pub(crate) async fn order(&self, did: Did, workflow: Option<&Value>) -> Purchase {
        let (chain, contracts) = (&self.chain, &self.chain.deployment.contracts);
        let order = Order {
            agreement: AgreementId(random_hash()),
            did,
            consumer: chain.consumer.address(),
            provider: chain.provider.address(),
            amount: U256::from(PRICE),
        };
        let purchase = Purchase::new(&chain.deployment, order);
        if let Some(document) = workflow {
            let value = format!(
                "data:application/json,{}",
                percent_encoded(&document.to_string())
            );
            let registered = Did(order.agreement.0);
            let checksum = keccak256(document.to_string());
            let call =
                purchase::register_did(contracts, registered, checksum, &[], value.as_bytes());
            chain.consumer.send(call).await.unwrap();
        }
        chain.consumer.send(purchase.create()).await.unwrap();
        purchase
    }

    /// The consumer pays.
    pub(crate) async fn pay(&self, purchase: &Purchase) {
        self.chain.consumer.send(purchase.approve()).await.unwrap();
        self.chain.consumer.send(purchase.lock()).await.unwrap();
    }

    /// The provider says that the job may run; answers the transaction.
    pub(crate) async fn answer(&self, purchase: &Purchase) -> B256 {
        let said = self.chain.provider.send(purchase.fulfil()).await.unwrap();
        said.transaction_hash
    }

    /// Gives the services that are started from now on an agent with a key of its own, which the publisher makes a provider of
    /// the asset. Answers its address.
    pub(crate) async fn employ_agent(&mut self) -> Address {
        let key = Anvil::key(5).unwrap();
        let account = Account::connect(self.chain.node.url(), &key).await.unwrap();
        let contracts = &self.chain.deployment.contracts;
        let call = purchase::add_did_provider(contracts, self.did, account.address());
        self.chain.provider.send(call).await.unwrap();
        let file = self.directory.path().join("agent-key");
        std::fs::write(&file, alloy::hex::encode(key)).unwrap();
        self.set("TIDEWATCH_AGENT", "approve,release");
        self.set("TIDEWATCH_AGENT_KEY_FILE", file.to_str().unwrap());
        account.address()
    }

    /// How many tokens an account has.
    pub(crate) async fn tokens(&self, account: Address) -> U256 {
        // balanceOf(address)
        let mut data = alloy::hex!("70a08231").to_vec();
        data.extend(B256::left_padding_from(account.as_slice()));
        let token = self.chain.deployment.contracts.ocean_token;
        let asked = json!([{"to": token, "data": alloy::hex::encode_prefixed(data)}, "latest"]);
        let answer = self.chain.node.request("eth_call", asked).await;
        answer.as_str().unwrap().parse().unwrap()
    }

    /// The agent's act about an agreement: state, reason and who did it, joined by blanks.
    pub(crate) async fn act(&self, kind: &str, agreement: AgreementId) -> Option<String> {
        let row = "SELECT concat_ws(' ', state, reason, done_by) FROM tidewatch.agent_acts WHERE act = $1 AND agreement_id = $2";
        sqlx::query_scalar(row)
            .bind(kind)
            .bind(agreement.0.as_slice())
            .fetch_optional(&self.database.pool)
            .await
            .unwrap()
    }

    /// Starts a whole service.
    pub(crate) async fn service(&self, name: &str) -> Service {
        Service::start(&self.variables, self.directory.path(), name).await
    }

    /// The jobs of an agreement, as the API tells them.
    pub(crate) async fn jobs(
        &self,
        service: &Service,
        agreement: impl std::fmt::Display,
    ) -> Vec<Value> {
        let url = format!("{}/v1/jobs?agreementId={agreement}", service.api);
        let body: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
        body["jobs"]
            .as_array()
            .unwrap_or_else(|| panic!("no list of jobs: {body}"))
            .clone()
    }

    /// Mines blocks one by one until the agreement's one job satisfies `wanted`, and answers that job.
    pub(crate) async fn job_when(
        &self,
        service: &Service,
        agreement: impl std::fmt::Display,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        self.job_after(1, service, agreement, wanted).await
    }

    /// The same, with so many blocks mined before each look.
    pub(crate) async fn job_after(
        &self,
        blocks: u64,
        service: &Service,
        agreement: impl std::fmt::Display,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let agreement = agreement.to_string();
        eventually(
            "the job is as awaited",
            Duration::from_secs(120),
            || async {
                if blocks > 0 {
                    self.chain.node.mine(blocks).await;
                }
                let jobs = self.jobs(service, &agreement).await;
                assert!(jobs.len() < 2, "one condition has one job: {jobs:?}");
                let job = jobs.into_iter().next()?;
                wanted(&job).then_some(job)
            },
        )
        .await
    }

    /// A job once it is finished.
    pub(crate) async fn finished(
        &self,
        service: &Service,
        agreement: impl std::fmt::Display,
    ) -> Value {
        self.job_when(service, agreement, |job| job["phase"] == "finished")
            .await
    }

    /// What kubectl answers about the namespace, as an operator would ask it.
    pub(crate) async fn kubectl(&self, arguments: &[&str]) -> String {
        let program = required("TIDEWATCH_TEST_KUBECTL");
        let mut words = program.split(' ');
        let output = tokio::process::Command::new(words.next().unwrap())
            .args(words)
            .args(["-n", &self.namespace.name])
            .args(arguments)
            .output()
            .await
            .unwrap();
        assert!(
            output.status.success(),
            "kubectl {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// The hash of a job's manifest as the ledger has it.
    pub(crate) async fn manifest_sha256(&self, job: &str) -> Vec<u8> {
        let hash = "SELECT r.manifest_sha256 FROM ledger.results r JOIN ledger.jobs j ON j.id = r.job_id WHERE j.name = $1";
        sqlx::query_scalar(hash)
            .bind(job)
            .fetch_one(&self.database.pool)
            .await
            .unwrap()
    }

    /// How many logs are tombstones.
    pub(crate) async fn tombstones(&self) -> i64 {
        let count = "SELECT count(*) FROM ledger.logs WHERE NOT canonical";
        sqlx::query_scalar(count)
            .fetch_one(&self.database.pool)
            .await
            .unwrap()
    }

    /// One path of the API, with the operators' token.
    pub(crate) async fn get(&self, service: &Service, path: &str) -> reqwest::Response {
        let request = reqwest::Client::new().get(format!("{}{path}", service.api));
        request.bearer_auth(TOKEN).send().await.unwrap()
    }

    /// An object of the results' store, by its key below the prefix.
    pub(crate) async fn result(&self, key: &str) -> bytes::Bytes {
        let key = Key::from(format!("out/{key}"));
        self.store.get(&key).await.unwrap().bytes().await.unwrap()
    }
}

/// A workflow document whose algorithm is this line of shell.
pub(crate) fn workflow(did: Did, shell: &str) -> Value {
    let image = required("TIDEWATCH_TEST_ALGORITHM_IMAGE");
    let (name, digest) = image.split_once('@').unwrap();
    json!({"main": {"type": "workflow", "workflow": {"stages": [{
        "index": 0,
        "input": [{"index": 0, "id": did.to_string()}],
        "transformation": {
            "rawcode": shell,
            "container": {"image": name, "checksum": digest, "entrypoint": "sh $ALGO"},
        },
        "requirements": {"cpu": "100m", "memory": "64Mi", "maxExecutionSeconds": 120},
        "output": {},
    }]}}})
}

fn catalog(did: Did, input: &str, payee: &str) -> Value {
    let checksum = format!(
        "sha256:{}",
        alloy::hex::encode(<sha2::Sha256 as sha2::Digest>::digest(DATA))
    );
    json!({
        "schemaVersion": 1,
        "policy": {
            "payees": [payee],
            "images": ["tidewatch.test/"],
            "resources": {"cpu": "500m", "memory": "128Mi", "disk": "64Mi", "maxExecutionSeconds": 300},
        },
        "assets": [{
            "did": did.to_string(),
            "enabled": true,
            "minimumPrice": PRICE.to_string(),
            "files": [{"url": input, "checksum": checksum, "contentType": "text/csv"}],
            "privacy": {"allowRawAlgorithm": true},
            "workflow": workflow(did, "echo the catalog chose; cat $INPUTS/*/0 | wc -l > $OUTPUTS/lines"),
        }],
    })
}

/// The bucket that the namespace's Secret opens.
fn bucket(namespace: &Namespace) -> AmazonS3 {
    AmazonS3Builder::new()
        .with_endpoint(required("TIDEWATCH_TEST_S3"))
        .with_allow_http(true)
        .with_bucket_name(&namespace.name)
        .with_region("us-east-1")
        .with_access_key_id("test")
        .with_secret_access_key("test")
        .build()
        .unwrap()
}

/// A login of this database alone: roles are the server's, which all tests share.
async fn login(database: &Database, role: Role) -> String {
    let own = database.url.rsplit('/').next().unwrap();
    let name = format!("{own}_{role}");
    create_login(&database.url, &name, "test", role)
        .await
        .unwrap()
}

/// An asset of the provider's.
pub(crate) async fn register_asset(chain: &Chain) -> Did {
    let did = Did(random_hash());
    let call = purchase::register_did(
        &chain.deployment.contracts,
        did,
        B256::ZERO,
        &[],
        b"https://example.org/ddo",
    );
    chain.provider.send(call).await.unwrap();
    did
}

fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'"' | b'%' | b'#' | b'\\' | b' ' => format!("%{byte:02X}"),
            _ => char::from(byte).to_string(),
        })
        .collect()
}
