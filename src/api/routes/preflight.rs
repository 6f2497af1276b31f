use alloy::primitives::{Address, B256, U256, keccak256};
use axum::Json;
use axum::extract::{RawQuery, Request, State};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::admission::Recorded;
use crate::api::parameters::Parameters;
use crate::api::ports::Through;
use crate::api::problem::Problem;
use crate::api::{Shared, body};
use crate::ids::{AgreementId, DeploymentId, Did};
use crate::keeper::{self, Deployment, KeeperEvent};
use crate::ledger::reader;
use crate::preflight::{Intention, Naming, Preflight, Present, preflight, safe_batch};
use crate::workflows::{Catalog, Finding, Found, LONGEST_VALUE, Subject, Want};

/// Most things that are looked for before it is given up: the resolver's bound is two registry entries, three documents, a file and
/// an image.
const MOST_WANTS: usize = 8;

/// An intended purchase.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"did": "did:op:0000000000000000000000000000000000000000000000000000000000000001",
    "consumer": "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"}))]
pub(in crate::api) struct Asked {
    /// The asset.
    #[schema(pattern = "^did:op:[0-9a-fA-F]{64}$")]
    did: String,
    /// Who will buy, pay and get the result.
    #[schema(pattern = "^0x[0-9a-fA-F]{40}$")]
    consumer: String,
    /// What will be paid, in the token's smallest unit; absent: the asset's price.
    #[schema(pattern = "^[0-9]{1,77}$")]
    amount: Option<String>,
    /// The agreement's id, the buyer's free choice; absent: one is made up.
    #[schema(pattern = "^0x[0-9a-fA-F]{64}$")]
    agreement_id: Option<String>,
    /// The workflow document: as JSON, or as the text to register (a `data:` URL or an address); absent: the publisher's default
    /// runs. A document at an address is not fetched here.
    #[schema(value_type = Option<Object>)]
    document: Option<Value>,
    /// Keccak-256 of a document that lies at an address.
    #[schema(pattern = "^0x[0-9a-fA-F]{64}$")]
    document_checksum: Option<String>,
}

/// What an intended purchase would get.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct Judged {
    /// `admitted`, `refused`, or `unsettled`: something that decides is not looked for on a stranger's request.
    verdict: &'static str,
    /// Why it would be refused.
    reason: Option<PreflightReason>,
    /// What is not settled, as a sentence.
    unsettled: Option<String>,
    /// Every rule's answer in order, as in a verdict.
    #[schema(value_type = Vec<Object>)]
    rules: Value,
    /// The agreement's id that the transactions make.
    agreement_id: String,
    /// Least amount that must be paid, in the token's smallest unit; null for an asset of somebody else.
    price: Option<String>,
    /// Last block in which the publisher can answer, when the agreement is made in the next block. Afterwards the payment can be
    /// taken back.
    answer_until: u64,
    /// The transactions to send, in the order in which it is safe; none when it would be refused or is unsettled.
    transactions: Vec<CallShown>,
    /// The same as a file for Safe's Transaction Builder, which sends them as one.
    #[schema(value_type = Option<Object>)]
    safe_batch: Option<Value>,
}

/// Why a purchase would be refused.
#[derive(Debug, Serialize, ToSchema)]
struct PreflightReason {
    /// Stable code.
    code: &'static str,
    /// The same as a sentence.
    message: &'static str,
}

/// A transaction to send.
#[derive(Debug, Serialize, ToSchema)]
struct CallShown {
    /// The contract.
    to: Option<String>,
    /// The call's data.
    data: String,
    /// What it does.
    what: String,
}

/// The verdict that an intended purchase would get, by the rules that judge it afterwards, and the transactions to send. Nothing is
/// stored. Only what the publisher itself names is looked up outside: images that it allows, and its metadata services.
#[utoipa::path(post, path = "/v1/preflight", tag = "agreements", request_body = Asked,
    responses(
        (status = 200, description = "What it would get.", body = Judged),
        (status = "default", description = "Anything else.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(in crate::api) async fn judge(
    State(shared): State<Shared>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Json<Judged>, Problem> {
    Parameters::read(query.as_deref())?.finish()?;
    let intention = intention(body::read(request).await?)?;
    let catalog = shared.catalog()?;
    let _place = shared.limits.preflight()?;
    let keeper = shared.keeper.clone();
    let seen = Seen::find(&shared, &intention).await?;
    let keeper = keeper.ok_or_else(Problem::internal)?;
    let (answer, unsettled) = shared.ask(&keeper, &catalog, &intention, &seen).await?;
    let mut rules = serde_json::to_value(&answer.rules).map_err(|_| Problem::internal())?;
    reader::locate_evidence(&mut *shared.reader.acquire().await?, &mut rules).await?;
    let now = shared.clock.now().timestamp_millis();
    let batch = || {
        let name = format!("Compute on {}", intention.did);
        safe_batch(keeper.chain_id, now, &name, &answer.calls)
    };
    Ok(Json(Judged {
        verdict: match (answer.refused, &unsettled) {
            (Some(_), _) => "refused",
            (None, Some(_)) => "unsettled",
            (None, None) => "admitted",
        },
        reason: answer.refused.map(|reason| PreflightReason {
            code: reason.as_str(),
            message: reason.sentence(),
        }),
        unsettled,
        rules,
        agreement_id: intention.agreement.to_string(),
        price: answer.price.map(|price| price.to_string()),
        answer_until: answer.answer_until,
        safe_batch: (!answer.calls.is_empty()).then(batch),
        transactions: answer.calls.iter().map(CallShown::new).collect(),
    }))
}

impl CallShown {
    fn new(call: &keeper::Call) -> Self {
        Self {
            to: call.to.map(|to| to.to_string()),
            data: call.data.to_string(),
            what: call.what.clone(),
        }
    }
}

fn intention(asked: Asked) -> Result<Intention, Problem> {
    let wrong = |name: &str, wanted: &str| {
        Problem::invalid_body(format!("The member {name:?} must be {wanted}."))
    };
    let hash = "0x and 64 hexadecimal digits";
    let agreement = match asked.agreement_id {
        Some(text) => text.parse().map_err(|_| wrong("agreementId", hash))?,
        None => AgreementId(fresh()),
    };
    let amount = asked.amount.map(|text| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let is_number = digits && (1..=77).contains(&text.len());
        let amount = is_number.then(|| text.parse::<U256>().ok()).flatten();
        amount.ok_or_else(|| wrong("amount", "a decimal number of at most 77 digits"))
    });
    let checksum = asked.document_checksum;
    let checksum = checksum.map(|text| text.parse().map_err(|_| wrong("documentChecksum", hash)));
    let checksum: Option<B256> = checksum.transpose()?;
    let document = asked.document.map(|document| {
        let value = match document {
            Value::String(text) => text.into_bytes(),
            Value::Object(_) => format!("data:application/json;base64,{}", STANDARD.encode(document.to_string())).into_bytes(),
            _ => return Err(wrong("document", "an object, or a text to register")),
        };
        if value.len() > LONGEST_VALUE {
            return Err(wrong("document", "at most 2048 bytes as a value of the registry; register the address of a longer one"));
        }
        match checksum {
            Some(checksum) => Ok(Naming { value, checksum }),
            None if value.starts_with(b"data:") => Ok(Naming::inline(value)),
            None => Err(wrong("documentChecksum", "the Keccak-256 hash of the document at the address")),
        }
    });
    Ok(Intention {
        agreement,
        did: asked
            .did
            .parse()
            .map_err(|_| wrong("did", "did:op: and 64 hexadecimal digits"))?,
        consumer: asked
            .consumer
            .parse()
            .map_err(|_| wrong("consumer", "an address: 0x and 40 hexadecimal digits"))?,
        amount: amount.transpose()?,
        document: document.transpose()?,
    })
}

/// An id that nobody has used.
fn fresh() -> B256 {
    keccak256([Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat())
}

/// What the ledger knows that bears on a purchase.
struct Seen {
    deployment: DeploymentId,
    owner: Option<Address>,
    head: u64,
    registrations: Vec<Recorded>,
}

impl Seen {
    async fn find(shared: &Shared, intention: &Intention) -> Result<Self, Problem> {
        let mut transaction = shared.reader.snapshot().await?;
        let on = shared.contracts(&mut transaction).await?;
        let progress = reader::progress(&mut transaction, on.0).await?;
        let progress = progress
            .ok_or_else(|| Problem::unavailable("These contracts are not followed yet."))?;
        let judged = progress.judged;
        let of_asset =
            reader::list_assets_events(&mut transaction, on, intention.did, judged).await?;
        let id = Did(intention.agreement.0);
        let registrations = reader::list_assets_events(&mut transaction, on, id, judged).await?;
        drop(transaction);
        let owner = match owner(&of_asset, intention.did) {
            Some(owner) => Some(owner),
            None => shared.owner(on.1, intention.did).await,
        };
        Ok(Self {
            deployment: on.0,
            owner,
            head: progress.head.unwrap_or(progress.recorded),
            registrations,
        })
    }
}

/// The owner by the last event that names one.
fn owner(events: &[Recorded], of: Did) -> Option<Address> {
    events
        .iter()
        .rev()
        .find_map(|recorded| match recorded.event {
            KeeperEvent::DidRegistered { did, owner, .. } if did == of => Some(owner),
            KeeperEvent::DidOwnershipTransferred { did, to, .. } if did == of => Some(to),
            _ => None,
        })
}

impl Shared {
    /// The owner of an asset that was registered before the followed history, asked of a node where there is one.
    async fn owner(&self, keeper: &Deployment, did: Did) -> Option<Address> {
        let calls = self.calls.as_ref()?;
        let through = Through(calls.as_ref());
        let facts = keeper::Facts::new(&through, &keeper.contracts);
        facts.did_owner(did, None).await.ok().flatten()
    }

    /// The library's answer, with what it wants looked for as far as that is allowed; else a sentence that says what is not settled.
    async fn ask(
        &self,
        keeper: &Deployment,
        catalog: &Catalog,
        intention: &Intention,
        seen: &Seen,
    ) -> Result<(Preflight, Option<String>), Problem> {
        let mut found = Found::default();
        let mut wants = 0;
        loop {
            let present = Present {
                owner: seen.owner,
                head: seen.head,
                registrations: &seen.registrations,
                found: &found,
            };
            let answer = preflight(keeper, catalog, intention, &present);
            let Some(want) = answer.wants.clone() else {
                return Ok((answer, None));
            };
            wants += 1;
            match self.look_for(keeper, &want, seen, &mut found).await? {
                true if wants < MOST_WANTS => {}
                _ => {
                    let said = format!(
                        "It cannot be said here what would run: the {} is looked for when the job is judged.",
                        want.words()
                    );
                    return Ok((answer, Some(said)));
                }
            }
        }
    }

    /// Looks for something and notes what it found; false when it is not looked for here, or cannot be had.
    async fn look_for(
        &self,
        keeper: &Deployment,
        want: &Want,
        seen: &Seen,
        found: &mut Found,
    ) -> Result<bool, Problem> {
        let outside = match want {
            Want::Registrations { did } => {
                let mut connection = self.reader.acquire().await?;
                let (on, up_to) = ((seen.deployment, keeper), seen.head);
                let events = reader::list_assets_events(&mut connection, on, *did, up_to).await?;
                found.put_registrations(*did, events);
                return Ok(true);
            }
            Want::Bytes {
                of: Subject::Workflow,
                ..
            }
            | Want::Bytes { trusted: false, .. } => None,
            // Only images that the publisher allows are ever wanted.
            Want::Bytes { .. } | Want::Image { .. } => self.outside.as_ref(),
        };
        let finding = match (outside, want) {
            (Some(outside), _) => outside.find(want).await,
            // A pinned image whose registry does not answer runs as it is pinned.
            (
                None,
                Want::Image {
                    digest: Some(_), ..
                },
            ) => Some(Finding::Unknown),
            (None, _) => None,
        };
        let is_had = finding.is_some();
        if let Some(finding) = finding {
            found.put(want.clone(), finding);
        }
        Ok(is_had)
    }
}
