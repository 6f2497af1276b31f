//! Whether the provider is on the chain that is followed, and what the ledger knows of the deployment.

use alloy::primitives::B256;

use super::error::Error;
use super::following::{DEFAULT_DEPTH, Following, IrreversibleAt};
use crate::chain::{ChainIdentity, Header, Provider, Providers, Tag};
use crate::fault::Fault;
use crate::ids::{BlockRef, DeploymentId};
use crate::ledger::blocks::{NewBlock, Proof};
use crate::ledger::deployments::{Deployment, Identity, NewDeployment};
use crate::ledger::{self, Ledger, blocks, cursors, deployments};

/// A deployment that was compared with the provider's chain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opened {
    pub(super) id: DeploymentId,
    pub(super) genesis_hash: B256,
    /// The start block, once it can never be another.
    pub(super) start: Option<BlockRef>,
    pub(super) irreversible_at: IrreversibleAt,
    pub(super) start_fixed: bool,
    pub(super) acting: bool,
}

/// Asks whether the configured contracts can be followed on the provider's chain at all. Writes nothing; meant for start-up,
/// before [`open`].
///
/// # Errors
/// Fatal, one sentence each: another chain id, an address without code, a start block beyond the newest block. Transient when
/// the provider cannot be asked.
pub async fn check_contracts(providers: &Providers, following: &Following) -> Result<(), Error> {
    let mut failures = Failures::default();
    for provider in providers.ranked() {
        match check_contracts_with(&provider, following).await {
            Ok(()) => return Ok(()),
            Err(error) => failures.pass_over(&provider, error)?,
        }
    }
    Err(failures.into_error())
}

async fn check_contracts_with(provider: &Provider, following: &Following) -> Result<(), Error> {
    check_chain_id(provider, following).await?;
    let head = provider.head().await?.at.number;
    if following.first_block() > head {
        return Err(Error::StartBeyondHead {
            start: following.start_block,
            head,
            chain_id: following.chain_id,
        });
    }
    for address in &following.addresses {
        if provider.code_at(*address).await?.is_empty() {
            return Err(Error::NoCode {
                address: *address,
                chain_id: following.chain_id,
            });
        }
    }
    Ok(())
}

/// Finds the deployment in the ledger, or creates it, once the provider's chain proves to be the one that is meant. Safe to
/// repeat and on several replicas: it is also what is asked again on every new connection.
///
/// # Errors
/// Fatal, one sentence each, when the chain, the rules or the filter are not those of the ledger; transient when provider or
/// database cannot be asked.
pub async fn open(
    ledger: &Ledger,
    providers: &Providers,
    following: &Following,
) -> Result<DeploymentId, Error> {
    Ok(compare_any(ledger, providers, following).await?.id)
}

/// Compares ledger and chain by the first provider that can. From then on every provider has to be on that chain.
pub(super) async fn compare_any(
    ledger: &Ledger,
    providers: &Providers,
    following: &Following,
) -> Result<Opened, Error> {
    let mut failures = Failures::default();
    for provider in providers.ranked() {
        match compare_twice(ledger, &provider, following).await {
            Ok(opened) => {
                expect(providers, following, &opened);
                return Ok(opened);
            }
            Err(error) => failures.pass_over(&provider, error)?,
        }
    }
    Err(failures.into_error())
}

/// Compares, and once more where the chain seems to be another one: one damaged answer is no reason to end the process, the same
/// said twice is. Another block the second time is damage as well.
pub(super) async fn compare_twice(
    ledger: &Ledger,
    provider: &Provider,
    following: &Following,
) -> Result<Opened, Error> {
    let first = compare(ledger, provider, following).await;
    let Some(said) = first.as_ref().err().and_then(other_block) else {
        return first;
    };
    let again = compare(ledger, provider, following).await;
    match again.as_ref().err().and_then(other_block) {
        Some(then) if then != said => Err(Error::Torn {
            provider: provider.name().to_owned(),
            number: said.number,
        }),
        _ => again,
    }
}

/// The block that shows that the chain is another one.
const fn other_block(error: &Error) -> Option<BlockRef> {
    match error {
        Error::Restarted { found, .. } => Some(BlockRef {
            number: 0,
            hash: *found,
        }),
        Error::OtherStart { number, found, .. } => Some(BlockRef {
            number: *number,
            hash: *found,
        }),
        _ => None,
    }
}

/// From now on every provider has to be on the chain that this one showed.
fn expect(providers: &Providers, following: &Following, opened: &Opened) {
    let genesis = BlockRef {
        number: 0,
        hash: opened.genesis_hash,
    };
    providers.expect(ChainIdentity {
        chain_id: following.chain_id,
        anchors: [genesis].into_iter().chain(opened.start).collect(),
    });
}

/// Why one provider after another does not do. One on another chain does not stop what another can do.
#[derive(Default)]
struct Failures {
    transient: Option<Error>,
    fatal: Option<Error>,
}

impl Failures {
    /// Goes on to the next provider, unless it is the ledger that failed.
    fn pass_over(&mut self, provider: &Provider, error: Error) -> Result<(), ledger::Error> {
        provider.shun();
        match error {
            Error::Ledger(error) => return Err(error),
            error if error.fault() == Fault::Fatal => _ = self.fatal.get_or_insert(error),
            error => _ = self.transient.get_or_insert(error),
        }
        Ok(())
    }

    /// What passes may leave a provider that does.
    fn into_error(self) -> Error {
        self.transient.or(self.fatal).unwrap_or(Error::NoProvider)
    }
}

pub(super) async fn compare(
    ledger: &Ledger,
    provider: &Provider,
    following: &Following,
) -> Result<Opened, Error> {
    check_chain_id(provider, following).await?;
    let identity = Identity {
        chain_id: following.chain_id,
        genesis_hash: provider.genesis_hash().await?,
        contracts_hash: following.contracts_hash,
    };
    let list = async || {
        let mut connection = ledger.acquire().await?;
        deployments::list_of_contracts(&mut connection, identity.chain_id, identity.contracts_hash)
            .await
    };
    let mut known = list().await?;
    if known.is_empty() {
        create(ledger, provider, following, identity).await?;
        known = list().await?;
    }
    let same = known
        .iter()
        .find(|deployment| deployment.identity == identity);
    match (same, known.first()) {
        (Some(deployment), _) => continue_with(ledger, provider, following, deployment).await,
        (None, Some(other)) => Err(Error::Restarted {
            chain_id: identity.chain_id,
            recorded: other.identity.genesis_hash,
            found: identity.genesis_hash,
        }),
        (None, None) => Err(ledger::Error::Conflict {
            what: "the list of deployments",
        }
        .into()),
    }
}

async fn check_chain_id(provider: &Provider, following: &Following) -> Result<(), Error> {
    let found = provider.chain_id().await?;
    if found == following.chain_id {
        return Ok(());
    }
    Err(Error::WrongChain {
        provider: provider.name().to_owned(),
        configured: following.chain_id,
        found,
    })
}

async fn create(
    ledger: &Ledger,
    provider: &Provider,
    following: &Following,
    identity: Identity,
) -> Result<(), Error> {
    let first = following.first_block();
    let start = header(provider, following, first).await?;
    let before = header(provider, following, first - 1).await?;
    let rule = decide_rule(provider, following).await?;
    let head = provider.head().await?.at.number;
    let mut transaction = ledger.begin().await?;
    let new = NewDeployment {
        identity,
        contracts: following.contracts_json.clone(),
        start: start.at,
        act_at: following.act_at.to_string(),
        irreversible_at: rule.to_string(),
        act_from_block: following.act_from_block,
        first_head: head,
    };
    let deployment = deployments::find_or_create(&mut transaction, &new).await?;
    cursors::create(
        &mut transaction,
        deployment,
        before.at,
        following.filter_fingerprint(),
        following.filter_version,
    )
    .await?;
    blocks::record(&mut transaction, deployment, &[base(&before)]).await?;
    ledger::commit(transaction).await?;
    tracing::info!(
        deployment = deployment.0,
        irreversible_at = %rule,
        "deployment {deployment} on chain {} is followed from block {first} on; irreversible by the rule {rule}",
        identity.chain_id
    );
    Ok(())
}

/// The block before the start as the ledger keeps it: nothing is read of it, it is only what the first block links to.
pub(super) fn base(before: &Header) -> NewBlock {
    NewBlock {
        at: before.at,
        parent: None,
        made_at: before.timestamp,
        proof: Proof::SingleRead,
    }
}

pub(super) async fn header(
    provider: &Provider,
    following: &Following,
    number: u64,
) -> Result<Header, Error> {
    if let Some(header) = provider.header_at(number).await? {
        return Ok(header);
    }
    Err(Error::StartBeyondHead {
        start: following.start_block,
        head: provider.head().await?.at.number,
        chain_id: following.chain_id,
    })
}

/// Decides what may never roll back. A node that knows the tag but names no block yet is waited for, not held to be without.
async fn decide_rule(provider: &Provider, following: &Following) -> Result<IrreversibleAt, Error> {
    if let Some(IrreversibleAt::Depth(blocks)) = following.irreversible_at {
        return Ok(IrreversibleAt::Depth(blocks));
    }
    match (provider.finalized().await?, following.irreversible_at) {
        (Tag::Block(_) | Tag::Waiting, _) => Ok(IrreversibleAt::Finalized),
        (Tag::Tagless, None) => Ok(IrreversibleAt::Depth(DEFAULT_DEPTH)),
        (Tag::Tagless, Some(_)) => Err(Error::NoFinality {
            chain_id: following.chain_id,
        }),
    }
}

async fn continue_with(
    ledger: &Ledger,
    provider: &Provider,
    following: &Following,
    deployment: &Deployment,
) -> Result<Opened, Error> {
    let first = following.first_block();
    if deployment.start.number != first {
        return Err(Error::StartMoved {
            configured: following.start_block,
            recorded: deployment.start.number,
        });
    }
    let recorded: IrreversibleAt = deployment.irreversible_at.parse()?;
    if let Some(configured) = following.irreversible_at
        && configured != recorded
    {
        return Err(Error::RuleMoved {
            recorded,
            configured,
        });
    }
    // A provider without the start block is behind; what it says later will be compared then.
    let start = provider.header_at(first).await?.map(|header| header.at);
    if let Some(start) = start
        && start.hash != deployment.start.hash
        && deployment.start_fixed
    {
        return Err(Error::OtherStart {
            chain_id: following.chain_id,
            number: first,
            recorded: deployment.start.hash,
            found: start.hash,
        });
    }
    let mut connection = ledger.acquire().await?;
    let act_at = following.act_at.to_string();
    deployments::set_rules(
        &mut connection,
        deployment.id,
        &act_at,
        following.act_from_block,
    )
    .await?;
    let act_from = following.act_from_block.or(deployment.act_from_block);
    take_filter(ledger, provider, following, deployment.id).await?;
    Ok(Opened {
        id: deployment.id,
        genesis_hash: deployment.identity.genesis_hash,
        start: deployment.start_fixed.then_some(deployment.start),
        irreversible_at: recorded,
        start_fixed: deployment.start_fixed,
        acting: act_from.is_some(),
    })
}

/// Makes sure that the cursor is moved by our filter, or takes it over if ours is the newer one.
async fn take_filter(
    ledger: &Ledger,
    provider: &Provider,
    following: &Following,
    deployment: DeploymentId,
) -> Result<(), Error> {
    let ours = following.filter_fingerprint();
    let mut connection = ledger.acquire().await?;
    let cursor = cursors::get(&mut connection, deployment).await?;
    let theirs = cursor.position.filter_fingerprint;
    if theirs == ours {
        return Ok(());
    }
    if cursor.filter_version >= following.filter_version {
        return Err(Error::OtherFilter {
            recorded: cursor.filter_version,
            ours: following.filter_version,
        });
    }
    let before = header(provider, following, following.first_block() - 1).await?;
    let taken = cursors::take_over(
        &mut connection,
        deployment,
        theirs,
        ours,
        following.filter_version,
        before.at,
    )
    .await?;
    if taken {
        tracing::info!(
            deployment = deployment.0,
            filter_version = following.filter_version,
            "deployment {deployment} is read once more from its start: this version follows more addresses"
        );
    }
    Ok(())
}
