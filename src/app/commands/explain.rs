use std::io::Write;

use alloy::primitives::B256;
use anyhow::{Context, bail};

use crate::agent::Node;
use crate::app::cli::ExplainOptions;
use crate::app::config::{Environment, Faults, Secret};
use crate::app::explanation::{self, Looking, Standing};
use crate::chain::Providers;
use crate::ids::{AgreementId, JobName};
use crate::keeper::{ContractCalls, Deployment};
use crate::ledger::reader::{self, Followed};
use crate::ledger::{Connection, Ledger};

/// Says why an agreement, a job or a transaction has the job that it has, or none.
pub(in crate::app) async fn run(
    options: &ExplainOptions,
    environment: &Environment,
) -> anyhow::Result<()> {
    let (url, nodes) = read(options, environment)?;
    let path = options
        .keeper
        .as_deref()
        .context("TIDEWATCH_KEEPER is required")?;
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("could not read the deployment file {shown}"))?;
    let keeper = Deployment::parse(&text)
        .with_context(|| format!("the deployment file {shown} cannot be used"))?;
    let (providers, node) = match nodes.is_empty() {
        true => (None, None),
        false => (
            Some(Providers::new(nodes.iter().map(Secret::expose))?),
            Some(Node::new(nodes.iter().map(Secret::expose))?),
        ),
    };
    let ledger = Ledger::connect(url.expose(), 2).await?;
    let mut connection = ledger.acquire().await?;
    let followed = Followed {
        chain_id: keeper.chain_id,
        contracts_hash: keeper.contracts_hash(),
    };
    let deployment = reader::find_deployment(&mut connection, Some(followed))
        .await?
        .context("this deployment was never followed: start a follower first")?;
    let looking = Looking {
        deployment,
        keeper: &keeper,
        calls: providers.as_ref(),
    };
    let told = explain(&mut connection, &looking, node.as_ref(), &options.subject).await?;
    std::io::stdout().write_all(told.as_bytes())?;
    Ok(())
}

/// The database and the nodes; reading is all that is done, so the reader's login does as well as the writer's.
fn read(
    options: &ExplainOptions,
    environment: &Environment,
) -> anyhow::Result<(Secret, Vec<Secret>)> {
    let mut faults = Faults::default();
    let writer = environment.secret("DATABASE_URL", &mut faults);
    let url = writer.or_else(|| environment.secret("TIDEWATCH_API_DATABASE_URL", &mut faults));
    if url.is_none() && faults.is_empty() {
        faults.add("DATABASE_URL", "is required, or TIDEWATCH_API_DATABASE_URL");
    }
    if options.keeper.is_none() {
        faults.add(
            "TIDEWATCH_KEEPER",
            "is required: the file with the keeper's deployment",
        );
    }
    let nodes = environment.secret("TIDEWATCH_RPC_URLS", &mut faults);
    let nodes = nodes.as_ref().map_or_else(Vec::new, |urls| {
        let urls = urls.expose().split(',').map(str::trim);
        urls.map(Secret::new).collect()
    });
    match url {
        Some(url) if faults.is_empty() => Ok((url, nodes)),
        _ => Err(faults.into()),
    }
}

async fn explain<C: ContractCalls>(
    connection: &mut Connection,
    looking: &Looking<'_, C>,
    node: Option<&Node>,
    subject: &str,
) -> anyhow::Result<String> {
    if let Ok(name) = subject.parse::<JobName>() {
        let job = reader::find_job(connection, looking.deployment, &name).await?;
        let job = job.with_context(|| format!("there is no {name} in this deployment"))?;
        return agreement(connection, looking, job.agreement).await;
    }
    let Ok(hash) = subject.parse::<B256>() else {
        bail!(
            "{subject:?} is neither a job id nor 0x and 64 hexadecimal digits (an agreement or a transaction)"
        );
    };
    let named = reader::list_told(connection, looking.deployment, AgreementId(hash)).await?;
    if !named.is_empty() {
        return agreement(connection, looking, AgreementId(hash)).await;
    }
    let mut told = String::new();
    for id in reader::agreements_of(connection, looking.deployment, hash).await? {
        told.push_str(&agreement(connection, looking, id).await?);
    }
    if !told.is_empty() {
        return Ok(told);
    }
    let logs = reader::logs_of(connection, looking.deployment, hash).await?;
    let progress = reader::progress(connection, looking.deployment).await?;
    let seen = match node {
        Some(node) => Some(node.whereabouts(hash).await?),
        None => None,
    };
    Ok(explanation::tell_transaction(
        hash,
        looking.keeper,
        &logs,
        progress.as_ref(),
        seen.as_ref(),
    ))
}

async fn agreement<C: ContractCalls>(
    connection: &mut Connection,
    looking: &Looking<'_, C>,
    id: AgreementId,
) -> anyhow::Result<String> {
    let standing = Standing::find(connection, looking, id).await?;
    Ok(explanation::tell(&standing))
}
