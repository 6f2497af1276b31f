use std::path::Path;
use std::time::{Duration, Instant};

use alloy::primitives::keccak256;
use anyhow::bail;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::equipment::Equipment;
use super::ledger::{Logins, OwnDatabase};
use super::people::{PRICE, People};
use super::publisher::{self, DATA, SUM};
use super::service::Service;
use super::site::{Kind, Site};
use super::telling::Telling;
use crate::app::cli::DemoOptions;
use crate::app::config::Environment;
use crate::ids::Did;
use crate::keeper::purchase::Purchase;

/// How long anything that is waited for may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// The parts of the story. Fields are dropped in their order: the service before what it stands on.
pub(super) struct Story {
    service: Service,
    pub(super) people: People,
    pub(super) site: Site,
    pub(super) did: Did,
    pub(super) database: OwnDatabase,
    equipment: Equipment,
    #[expect(dead_code, reason = "held until the end: the directory goes with it")]
    directory: tempfile::TempDir,
}

impl Story {
    /// Makes every part, up to a running service.
    pub(super) async fn prepare(
        kind: Kind,
        (options, environment): (&DemoOptions, &Environment),
        telling: &mut Telling,
    ) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("tidewatch-demo-")
            .tempdir()?;
        open_to_others(directory.path())?;
        telling.step("The parts");
        telling.say(kind.told());
        let state = directory.path();
        let prepare = || Equipment::prepare(kind, environment, state);
        let mut equipment = tokio::task::block_in_place(prepare)?;
        for part in &equipment.told {
            telling.say(part);
        }
        let people = People::gather(&environment.cache_directory(), telling).await?;
        let name = format!("tidewatch-demo-{}", std::process::id());
        let parts = equipment.cluster.take();
        let site = Site::make(parts, &name, state, (options, environment)).await?;
        telling.done(site.told(&name));

        telling.step("The publisher offers computing on a file");
        let did = people.register_asset(&name).await?;
        let file = site.publish("harbours.csv", DATA).await?;
        let payee = people.provider.address().to_string();
        let catalog = publisher::catalog(did, &file, site.image(), &payee, PRICE);
        telling.done(did);
        telling.say(format_args!("price {PRICE}; raw algorithms in one image; results and logs may leave; the file may not"));

        telling.step("The service starts");
        let database = OwnDatabase::make(&equipment.postgres, &name.replace('-', "_")).await?;
        Service::migrate(&database.owner, directory.path())?;
        let files = Files {
            directory: directory.path(),
            people: &people,
            catalog: &catalog,
        };
        let token = format!("{:x}", keccak256(&name));
        let logins = database.make_logins(&token).await?;
        let variables = files.write(&logins, &token, &site, options)?;
        let service = Service::start(variables, directory.path(), &options.api, &token).await?;
        telling.done(format_args!(
            "{} with a reader's login of its own",
            service.api
        ));
        Ok(Self {
            service,
            people,
            site,
            did,
            database,
            equipment,
            directory,
        })
    }

    /// Tells the story.
    pub(super) async fn tell(&mut self, telling: &mut Telling) -> anyhow::Result<()> {
        let job = self.honest_purchase(telling).await?;
        self.watch(&job, telling).await?;
        self.results(&job, telling).await?;
        self.release(telling).await?;
        self.hostile_purchases(telling).await
    }

    async fn honest_purchase(&mut self, telling: &mut Telling) -> anyhow::Result<String> {
        telling.step("The consumer sends four transactions, and nothing else");
        let people = &self.people;
        let purchase = people.purchase("honest", self.did);
        let escape = self.site.escape(people.chain.url());
        let document = publisher::workflow(self.did, self.site.image(), &escape);
        let choice = people.choice(&purchase, &document);
        let calls = vec![
            choice,
            purchase.create(),
            purchase.approve(),
            purchase.lock(),
        ];
        people.send(&people.consumer, calls, telling).await?;

        telling.step("The publisher's agent judges, and only then answers");
        let act = self
            .act("approve", &purchase, |act| act.transaction.is_some())
            .await?;
        for rule in act.rules.as_array().into_iter().flatten() {
            telling.check(
                rule["answer"] == "holds",
                format_args!("{}: {}", text(&rule["rule"]), text(&rule["detail"])),
            );
        }
        if let (Some(hash), Some(block)) = (act.transaction, act.block) {
            telling.done(format_args!("{hash}  block {block}  answer with compute"));
        }
        let job = self.job(&purchase, |_| true).await?;
        let id = text(&job["id"]);
        telling.done(format_args!(
            "{id}  {}  from block {}",
            text(&job["phase"]),
            job["block"]["number"]
        ));
        Ok(id)
    }

    /// Follows a job live, kills the service in the middle, and sees the same job end.
    async fn watch(&mut self, job: &str, telling: &mut Telling) -> anyhow::Result<()> {
        telling.step("The job runs, once its block is final; the service is killed in the middle");
        let mut follower = Follower {
            seen: 0,
            printed: 0,
            deadline: Instant::now() + PATIENCE,
        };
        let mut killed = false;
        let starts = loop {
            let finished = follower.look(&self.service, job, telling).await?;
            let starts = self.site.algorithm_starts(job).await?;
            if finished {
                break starts;
            }
            if !killed && follower.printed > 200 {
                telling.say("kill -9 of the service, and a new one");
                self.service.kill_and_restart().await?;
                killed = true;
                telling.done("the new one is ready");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        telling.check(killed, "the service was killed while the algorithm ran");
        telling.check(
            starts == 1,
            format_args!("the algorithm was started once ({starts})"),
        );
        let log = self.service.bytes(&format!("/v1/jobs/{job}/logs")).await?;
        let log = String::from_utf8_lossy(&log).into_owned();
        telling.check(
            log.contains("network: denied"),
            "the algorithm was denied the network",
        );
        telling.check(
            log.contains("inputs: read-only"),
            "the algorithm was denied writing its inputs",
        );
        let steps = (1..=6).all(|step| log.matches(&format!("step {step}\n")).count() == 1);
        telling.check(
            steps && log.ends_with("done\n"),
            "its log is whole, each line once",
        );
        Ok(())
    }

    async fn results(&self, job: &str, telling: &mut Telling) -> anyhow::Result<()> {
        telling.step("The result");
        let manifest = self.site.result(&format!("{job}/1/manifest.json")).await?;
        telling.say(format_args!(
            "manifest 0x{}",
            alloy::hex::encode(Sha256::digest(&manifest))
        ));
        let manifest: Value = serde_json::from_slice(&manifest)?;
        let sum = self.site.result(&format!("{job}/1/outputs/sum")).await?;
        let digest = format!("0x{}", alloy::hex::encode(Sha256::digest(&sum)));
        telling.check(
            manifest["files"][0]["sha256"] == digest.as_str(),
            format_args!("sum, {digest}"),
        );
        let shown = String::from_utf8_lossy(&sum).trim().to_owned();
        telling.check(shown == SUM.to_string(), format_args!("the sum is {shown}"));
        let transitions = self
            .service
            .get(&format!("/v1/jobs/{job}/transitions"))
            .await?;
        let chained = list(&transitions, "transitions")
            .windows(2)
            .all(|pair| pair[1]["previousHash"] == pair[0]["hash"]);
        telling.check(chained, "its transitions are a chain of hashes");
        Ok(())
    }

    /// The job of a purchase, once there is one that is as wanted.
    async fn job(
        &self,
        purchase: &Purchase,
        wanted: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let path = format!("/v1/jobs?agreementId={}", purchase.agreement);
            let page = self.service.get(&path).await?;
            if let Some(job) = list(&page, "jobs").first()
                && wanted(job)
            {
                return Ok(job.clone());
            }
            if Instant::now() > deadline {
                bail!(
                    "the job of agreement {} did not come: {page}",
                    purchase.agreement
                );
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Says what to try next.
    pub(super) fn invite(&self, telling: &Telling) {
        let Service { api, token, .. } = &self.service;
        telling.say("");
        telling.say("Try, while this runs (Ctrl-C ends it):");
        telling.say(format_args!("curl -s {api}/v1/jobs | head -c 2000"));
        telling.say(format_args!("curl -s {api}/v1/sync"));
        telling.say(self.site.invitation());
        telling.say(format_args!(
            "operators' token, for /v1/jobs/JOB/logs: {token}"
        ));
    }

    /// Ends the service and removes what was made in the cluster and in Postgres.
    pub(super) async fn remove(self) -> anyhow::Result<()> {
        let Self {
            service,
            site,
            database,
            equipment,
            ..
        } = self;
        drop(service);
        site.remove().await?;
        database.remove().await?;
        drop(equipment);
        Ok(())
    }
}

/// Prints what is new of a job: transitions, and the log as it comes.
struct Follower {
    seen: usize,
    printed: usize,
    deadline: Instant,
}

impl Follower {
    /// Answers whether the job is finished.
    async fn look(
        &mut self,
        service: &Service,
        job: &str,
        telling: &mut Telling,
    ) -> anyhow::Result<bool> {
        if Instant::now() > self.deadline {
            bail!(
                "the job {job} did not end: {}",
                service.get(&format!("/v1/jobs/{job}")).await?
            );
        }
        let page = service.get(&format!("/v1/jobs/{job}/transitions")).await?;
        let log = service
            .bytes(&format!("/v1/jobs/{job}/logs"))
            .await
            .unwrap_or_default();
        // whole lines only: the rest comes later
        let whole = log
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        for line in
            String::from_utf8_lossy(log.get(self.printed..whole).unwrap_or_default()).lines()
        {
            telling.say(format_args!("   | {line}"));
        }
        self.printed = self.printed.max(whole);
        let transitions = list(&page, "transitions");
        for transition in transitions.iter().skip(self.seen) {
            let ended = transition["outcome"]
                .as_str()
                .map(|outcome| format!(": {outcome}"));
            telling.done(format_args!(
                "{}{}",
                text(&transition["phase"]),
                ended.unwrap_or_default()
            ));
        }
        self.seen = transitions.len();
        Ok(transitions
            .last()
            .is_some_and(|last| last["phase"] == "finished"))
    }
}

/// The files that a service reads, and the variables that name them.
struct Files<'a> {
    directory: &'a Path,
    people: &'a People,
    catalog: &'a Value,
}

impl Files<'_> {
    fn write(
        &self,
        logins: &Logins,
        token: &str,
        site: &Site,
        options: &DemoOptions,
    ) -> anyhow::Result<Vec<(String, String)>> {
        let file = |name: &str, text: &str| {
            let path = self.directory.join(name);
            std::fs::write(&path, text)?;
            anyhow::Ok(path.to_string_lossy().into_owned())
        };
        let variables = [
            ("DATABASE_URL", logins.writer.clone()),
            ("TIDEWATCH_API_DATABASE_URL", logins.reader.clone()),
            ("TIDEWATCH_RPC_URLS", self.people.chain.url().to_string()),
            (
                "TIDEWATCH_KEEPER",
                file("keeper.yaml", &self.people.deployment.to_yaml()?)?,
            ),
            (
                "TIDEWATCH_CATALOG",
                file("catalog.yaml", &serde_json::to_string_pretty(self.catalog)?)?,
            ),
            ("TIDEWATCH_OPERATOR_TOKEN_FILE", file("token", token)?),
            ("TIDEWATCH_AGENT", "approve,release".to_owned()),
            (
                "TIDEWATCH_AGENT_KEY_FILE",
                file("agent-key", &alloy::hex::encode(People::agent_key()?))?,
            ),
            ("TIDEWATCH_API_LISTEN", options.api.clone()),
            ("TIDEWATCH_METRICS_LISTEN", "127.0.0.1:0".to_owned()),
        ];
        Ok(variables
            .into_iter()
            .chain(site.variables())
            .map(|(name, value)| (name.to_owned(), value))
            .collect())
    }
}

/// The private Postgres runs as another user when this is root, and must reach its directory.
fn open_to_others(directory: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o711))?;
    Ok(())
}

pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list<'a>(page: &'a Value, name: &str) -> &'a [Value] {
    page[name].as_array().map(Vec::as_slice).unwrap_or_default()
}
