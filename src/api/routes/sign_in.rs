use alloy::primitives::Address;
use axum::Json;
use axum::extract::{RawQuery, Request, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::notation::{address, time};
use crate::api::parameters::Parameters;
use crate::api::ports::Calls;
use crate::api::problem::Problem;
use crate::api::sign_in::{
    Accepted, Account, Challenge, LIFETIME, Refused, Wallet, code_size, has_code, signer,
};
use crate::api::{Shared, body};
use crate::ledger::reader;

/// Longest signature that is read: a Safe with many owners, not deployed yet, has a few thousand bytes.
const LONGEST_SIGNATURE: usize = 16 * 1024;

/// Who wants to sign in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"address": "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"}))]
pub(in crate::api) struct Wanted {
    /// The account.
    #[schema(pattern = "^0x[0-9a-fA-F]{40}$")]
    address: String,
    /// Whether it is a contract wallet; absent: whether it has code is looked up. Say it of a wallet that is not on the chain yet.
    contract_wallet: Option<bool>,
}

/// What to sign.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct ChallengeShown {
    /// The message, after EIP-4361. Sign it as it is (`personal_sign`).
    message: String,
    /// Until when its signature is taken: ten minutes for a key, 24 hours for a contract wallet.
    #[schema(format = DateTime)]
    expires_at: String,
}

/// A signed challenge.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::api) struct Signed {
    /// The challenge's message, as it was given.
    message: String,
    /// Its signature: of the account's key (65 bytes), or what the wallet takes for one (ERC-1271, ERC-6492).
    #[schema(pattern = "^0x([0-9a-fA-F]{2})*$")]
    signature: String,
}

/// A sign-in.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct Session {
    /// To be shown as a bearer token.
    access_token: String,
    /// `Bearer`.
    token_type: &'static str,
    /// Seconds for which it counts.
    expires_in: i64,
    /// Who signed in.
    address: String,
}

/// A message for an account to sign. Nothing is kept of it here.
#[utoipa::path(post, path = "/v1/sign-in/challenges", tag = "sign-in", request_body = Wanted,
    responses(
        (status = 200, description = "What to sign.", body = ChallengeShown),
        (status = "default", description = "Anything else.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(in crate::api) async fn challenge(
    State(shared): State<Shared>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Json<ChallengeShown>, Problem> {
    Parameters::read(query.as_deref())?.finish()?;
    let wanted: Wanted = body::read(request).await?;
    let account: Option<Address> = wanted.address.parse().ok();
    let account = account
        .filter(|_| wanted.address.starts_with("0x"))
        .ok_or_else(|| {
            Problem::invalid_body("\"address\" must be an account, 0x and 40 hexadecimal digits.")
        })?;
    let chain_id = shared.chain_id()?;
    let is_wallet = match wanted.contract_wallet {
        Some(told) => told,
        None => shared.has_code(account).await?,
    };
    let key = shared.sign_in.key().await?;
    let on = (&shared.sign_in.origin, &key);
    let challenge = Challenge::issue(on, account, chain_id, is_wallet, shared.clock.now());
    Ok(Json(ChallengeShown {
        message: challenge.message,
        expires_at: time(challenge.expires_at),
    }))
}

/// Signs in: an access token for the signature of a challenge. Each challenge counts once.
#[utoipa::path(post, path = "/v1/sessions", tag = "sign-in", request_body = Signed,
    responses(
        (status = 200, description = "The sign-in.", body = Session),
        (status = "default", description = "Anything else.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(in crate::api) async fn begin(
    State(shared): State<Shared>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Json<Session>, Problem> {
    Parameters::read(query.as_deref())?.finish()?;
    let signed: Signed = body::read(request).await?;
    let wanted = "\"signature\" must be 0x and hexadecimal digits, of at most 16 KiB.";
    let signature = signed
        .signature
        .strip_prefix("0x")
        .filter(|digits| digits.len() <= 2 * LONGEST_SIGNATURE);
    let signature = signature.and_then(|digits| alloy::hex::decode(digits).ok());
    let signature = signature.ok_or_else(|| Problem::invalid_body(wanted))?;
    let chain_id = shared.chain_id()?;
    let key = shared.sign_in.key().await?;
    let on = (&shared.sign_in.origin, &key);
    let accepted = Accepted::read(&signed.message, on, chain_id, shared.clock.now())
        .map_err(|refused| refusal(&refused))?;
    shared
        .verify(&accepted, &signed.message, &signature)
        .await?;
    // Last, so that only who can sign it can spend it.
    if !reader::spend_nonce(&shared.reader, &accepted.nonce, accepted.expires_at).await? {
        let detail = "This message was used to sign in before; ask for a new one.";
        return Err(Problem::sign_in_refused("challenge_spent", detail));
    }
    let account = Account::since(shared.clock.now(), accepted.address);
    Ok(Json(Session {
        access_token: account.token(on, chain_id),
        token_type: "Bearer",
        expires_in: LIFETIME.num_seconds(),
        address: address(account.address),
    }))
}

fn refusal(refused: &Refused) -> Problem {
    let detail = refused.to_string();
    match refused {
        Refused::Malformed(_) => Problem::sign_in_refused("invalid_message", detail),
        Refused::WrongDomain(_) => Problem::sign_in_refused("wrong_domain", detail),
        Refused::WrongChain(_) => Problem::sign_in_refused("wrong_chain", detail),
        Refused::Unknown => Problem::sign_in_refused("unknown_challenge", detail),
        Refused::Expired => Problem::sign_in_refused("challenge_expired", detail),
    }
}

impl Shared {
    fn chain_id(&self) -> Result<u64, Problem> {
        let keeper = self.keeper.as_ref().ok_or_else(|| {
            Problem::not_configured(
                "This process was not given the deployment file (TIDEWATCH_KEEPER).",
            )
        })?;
        Ok(keeper.chain_id)
    }

    /// Whether an account is a contract. While no node can be asked, it is not: a challenge that is too short can be had anew, one
    /// that is too long lies about.
    async fn has_code(&self, account: Address) -> Result<bool, Problem> {
        let Some(calls) = self.calls.as_deref() else {
            return Ok(false);
        };
        let _place = self.limits.wallet()?;
        let answer = calls.run(code_size(account)).await;
        Ok(answer.is_ok_and(|answer| has_code(&answer)))
    }

    /// Makes sure that an account signed a challenge: by its key, which needs no node, else as a contract wallet. An account whose
    /// key signed is its holder's, whatever code it may have been lent (EIP-7702).
    async fn verify(
        &self,
        accepted: &Accepted,
        message: &str,
        signature: &[u8],
    ) -> Result<(), Problem> {
        if signer(message, signature) == Some(accepted.address) {
            return if self.clock.now() < accepted.keys_until {
                Ok(())
            } else {
                Err(refusal(&Refused::Expired))
            };
        }
        let detail = "This is no signature of the message by its account.";
        let wrong = || Problem::sign_in_refused("invalid_signature", detail);
        let claim = Wallet::claim(accepted.address, message, signature).ok_or_else(wrong)?;
        if self.asks_wallet(&claim).await? {
            Ok(())
        } else {
            Err(wrong())
        }
    }

    async fn asks_wallet(&self, claim: &Wallet) -> Result<bool, Problem> {
        let calls: Option<&dyn Calls> = self.calls.as_deref();
        let calls = calls.ok_or_else(|| {
            Problem::not_configured(
                "This process was not given a node (TIDEWATCH_RPC_URLS), and only a node knows the signatures of contract wallets.",
            )
        })?;
        let _place = self.limits.wallet()?;
        let answer = calls.run(claim.program()).await.map_err(|_| {
            Problem::unavailable(
                "No node can be asked now whether this is the signature of a contract wallet. If it is that of a key, it is not this account's.",
            )
        })?;
        Ok(Wallet::has_signed(&answer))
    }
}
