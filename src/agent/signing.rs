//! From a call, a nonce and a fee to signed bytes.

use std::time::Duration;

use alloy::consensus::{SignableTransaction, TxEip1559, TxLegacy};
use alloy::eips::eip2718::Encodable2718;
use alloy::primitives::{Address, Bytes, Signature, TxKind, U256, keccak256};
use alloy::signers::Signer;

use super::Error;
use super::fees::Fee;
use crate::ids::AgreementId;
use crate::keeper::Call;
use crate::ledger::agent::transactions::{Purpose, Signed};

/// Gas of a transfer of nothing (Yellow Paper, appendix G: `G_transaction`).
const TRANSFER_GAS: u64 = 21_000;
/// How long a signer, which may be a remote one, may take: its account's nonces wait for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is to be signed.
#[derive(Clone, Debug)]
pub(super) struct Unsigned<'a> {
    pub(super) chain_id: u64,
    pub(super) nonce: u64,
    /// `None` cancels: a transfer of nothing to oneself.
    pub(super) call: Option<(&'a Call, u64)>,
    pub(super) fee: Fee,
    /// Whether the chain has a base fee, and with it transactions of type 2 (EIP-1559).
    pub(super) dynamic: bool,
}

/// Signs. The same input has the same bytes wherever the signer is deterministic (RFC 6979), as the local one is.
pub(super) async fn sign<S: Signer + Sync>(
    signer: &S,
    agreement: AgreementId,
    unsigned: &Unsigned<'_>,
) -> Result<Signed, Error> {
    let (purpose, to, input, gas_limit) = match unsigned.call {
        Some((call, gas)) => (
            Purpose::Act,
            call.to.unwrap_or(Address::ZERO),
            call.data.clone(),
            gas,
        ),
        None => (
            Purpose::Cancel,
            signer.address(),
            Bytes::new(),
            TRANSFER_GAS,
        ),
    };
    let Fee { max, priority } = unsigned.fee;
    let raw = if unsigned.dynamic {
        let transaction = TxEip1559 {
            chain_id: unsigned.chain_id,
            nonce: unsigned.nonce,
            gas_limit,
            max_fee_per_gas: max,
            max_priority_fee_per_gas: priority,
            to: TxKind::Call(to),
            value: U256::ZERO,
            access_list: alloy::eips::eip2930::AccessList::default(),
            input,
        };
        let signature = signature(signer, agreement, &transaction).await?;
        transaction.into_signed(signature).encoded_2718()
    } else {
        let transaction = TxLegacy {
            chain_id: Some(unsigned.chain_id),
            nonce: unsigned.nonce,
            gas_price: max,
            gas_limit,
            to: TxKind::Call(to),
            value: U256::ZERO,
            input,
        };
        let signature = signature(signer, agreement, &transaction).await?;
        transaction.into_signed(signature).encoded_2718()
    };
    Ok(Signed {
        hash: keccak256(&raw),
        purpose,
        raw: raw.into(),
        gas_limit,
        max_fee: max,
        priority_fee: priority,
    })
}

async fn signature<S: Signer + Sync>(
    signer: &S,
    agreement: AgreementId,
    transaction: &(impl SignableTransaction<Signature> + Sync),
) -> Result<Signature, Error> {
    let digest = transaction.signature_hash();
    let unsigned = |detail: String| Error::Unsigned { agreement, detail };
    match tokio::time::timeout(PATIENCE, signer.sign_hash(&digest)).await {
        Ok(Ok(signature)) => Ok(signature),
        Ok(Err(error)) => Err(unsigned(error.to_string())),
        Err(_) => Err(unsigned("it did not answer in time".to_owned())),
    }
}
