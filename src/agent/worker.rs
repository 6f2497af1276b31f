use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::B256;
use alloy::signers::Signer;
use chrono::{DateTime, Utc};
use tokio::sync::watch;

use super::view::View;
use super::{Error, Kind, Node};
use crate::documents::Documents;
use crate::fault::Fault;
use crate::ids::DeploymentId;
use crate::keeper::{ContractCalls, Deployment};
use crate::ledger::Ledger;
use crate::ledger::agent::acts::{self, Act, State};
use crate::ledger::agent::{Account, accounts};
use crate::worker::{Chain, Progress, Worker};
use crate::workflows::Catalog;

/// Acts that are taken at a time.
const BATCH: i64 = 8;
/// How old the account's reading may become while nothing is sent.
const READING_AGE: Duration = Duration::from_secs(15);

/// What an operator allows the agent.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What it does.
    pub kinds: Vec<Kind>,
    /// Most wei per gas.
    pub max_fee: u128,
    /// Most gas in 24 hours.
    pub daily_gas: u64,
    /// How long an act stays with a replica that died.
    pub lease: Duration,
    /// How long a transaction may stay unmined before a dearer one replaces it, if a dearer one can help.
    pub patience: Duration,
    /// How many blocks before the end of a window nothing is sent any more.
    pub margin: u64,
    /// How often a sent transaction is looked after.
    pub look_after: Duration,
}

impl Settings {
    /// The usual waits: a lease of 30 s; a minute until a replacement, five blocks of a slow public chain; three blocks of margin,
    /// since an offer with room for a doubled base fee is taken by the next block or the one after.
    pub const fn new(kinds: Vec<Kind>, max_fee: u128, daily_gas: u64) -> Self {
        Self {
            kinds,
            max_fee,
            daily_gas,
            lease: Duration::from_secs(30),
            patience: Duration::from_secs(60),
            margin: 3,
            look_after: Duration::from_secs(1),
        }
    }
}

/// The worker that acts on chain for the publisher.
#[derive(Debug)]
pub struct Agent<C, S> {
    pub(super) ledger: Ledger,
    pub(super) deployment_id: DeploymentId,
    pub(super) deployment: Deployment,
    pub(super) calls: C,
    pub(super) node: Node,
    pub(super) documents: Documents,
    pub(super) signer: S,
    keys: watch::Receiver<S>,
    pub(super) account: Account,
    pub(super) catalog: watch::Receiver<Arc<Catalog>>,
    pub(super) settings: Settings,
    pub(super) seen_ended: Option<DateTime<Utc>>,
    read_at: Option<tokio::time::Instant>,
}

/// What an agent works on.
#[derive(Clone, Debug)]
pub struct Works<C> {
    /// The followed deployment.
    pub deployment_id: DeploymentId,
    /// Its contracts.
    pub deployment: Deployment,
    /// Hash of its chain's block 0.
    pub genesis_hash: B256,
    /// Through which facts are asked.
    pub calls: C,
    /// Through which transactions are sent.
    pub node: Node,
    /// Through which documents are fetched.
    pub documents: Documents,
}

impl<C: ContractCalls, S: Signer + Clone + Send + Sync> Agent<C, S> {
    /// An agent that signs with the newest of `keys`, and takes the newest catalog for every judgement.
    pub fn new(
        ledger: Ledger,
        works: Works<C>,
        mut keys: watch::Receiver<S>,
        catalog: watch::Receiver<Arc<Catalog>>,
        settings: Settings,
    ) -> Self {
        let signer = keys.borrow_and_update().clone();
        let account = Account {
            chain_id: works.deployment.chain_id,
            genesis_hash: works.genesis_hash,
            address: signer.address(),
        };
        Self {
            ledger,
            deployment_id: works.deployment_id,
            deployment: works.deployment,
            calls: works.calls,
            node: works.node,
            documents: works.documents,
            signer,
            keys,
            account,
            catalog,
            settings,
            seen_ended: None,
            read_at: None,
        }
    }

    /// Takes another key over, if there is one. What the old one signed keeps its nonce: it can still be mined, and only the old key
    /// could replace it.
    fn take_key(&mut self) {
        if !self.keys.has_changed().unwrap_or(false) {
            return;
        }
        self.signer = self.keys.borrow_and_update().clone();
        let address = self.signer.address();
        if address != self.account.address {
            tracing::info!(from = %self.account.address, to = %address, "the agent has another key");
            self.account.address = address;
            self.read_at = None;
        }
    }
}

impl<C: ContractCalls, S: Signer + Send + Sync> Agent<C, S> {
    /// Does one step of an act and gives its lease back.
    async fn step(&self, act: &Act, view: &View, catalog: &Catalog) -> Result<(), Error> {
        let step = async {
            match act.state {
                State::Waiting => self.consider(act, view, catalog).await,
                State::Sent => self.pursue(act, view).await,
                State::Mined => self.confirm(act, view).await,
                State::Done | State::Declined | State::Failed => Ok(()),
            }
        };
        // Cut off well before the lease ends: what is cut off at an await is healed by the next step.
        let bound = self.settings.lease.mul_f64(0.8);
        let done = tokio::time::timeout(bound, step).await;
        let done = done.unwrap_or(Err(Error::OutOfTime {
            agreement: act.agreement,
        }));
        let mut connection = self.ledger.acquire().await?;
        match done {
            Ok(()) => acts::release(&mut connection, act).await?,
            Err(error) if error.is_conflict() => {}
            Err(error) if error.fault() == Fault::Fatal => return Err(error),
            Err(error) => {
                tracing::warn!(act = act.kind.as_str(), agreement = %act.agreement, error = %Chain(&error),
                    "a step of the agent failed; it is tried again");
                acts::fail(&mut connection, act).await?;
            }
        }
        Ok(())
    }

    /// Keeps the account's balance in the ledger, for people and metrics.
    async fn keep_reading(&mut self) -> Result<(), Error> {
        if self.read_at.is_some_and(|at| at.elapsed() < READING_AGE) {
            return Ok(());
        }
        let reading = self.node.reading(self.account.address).await?;
        accounts::record(&mut *self.ledger.acquire().await?, &self.account, &reading).await?;
        self.read_at = Some(tokio::time::Instant::now());
        Ok(())
    }
}

impl<C: ContractCalls + 'static, S: Signer + Clone + Send + Sync + 'static> Worker for Agent<C, S> {
    type Error = Error;

    const NAME: &'static str = "agent";

    async fn tick(&mut self) -> Result<Progress, Error> {
        let catalog = Arc::clone(&self.catalog.borrow_and_update());
        self.take_key();
        self.keep_reading().await?;
        let found = View::find(&mut *self.ledger.acquire().await?, self.deployment_id).await?;
        let Some(view) = found else {
            return Ok(Progress::Idle);
        };
        let more = !view.is_held && self.discover(&view, &catalog).await?;
        let due = acts::take_due(
            &mut *self.ledger.acquire().await?,
            self.deployment_id,
            &self.settings.kinds,
            view.is_held,
            (BATCH, self.settings.lease),
        )
        .await?;
        let this = &*self;
        let steps = due.iter().map(|act| this.step(act, &view, &catalog));
        // side by side, since each waits for nodes while its lease runs
        futures::future::try_join_all(steps).await?;
        Ok(if more || !due.is_empty() {
            Progress::More
        } else {
            Progress::Idle
        })
    }
}
