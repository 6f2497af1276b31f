//! The signatures of contract wallets (ERC-1271), of those that are not on the chain yet, too (ERC-6492). Pure: programs for a node
//! to run, and what their answers mean.
//!
//! A wallet that refuses a signature often reverts, and to whoever calls it a revert looks like a node that cannot answer. So the
//! node is not told to call the wallet but to run a few instructions, as creation code that is never sent: they call the wallet,
//! look whether it answered, and return one word that says so. Without any answer the node is away, and nothing is said about the
//! signature. The instructions are of Byzantium (EIP-214), so that every chain knows them.
//!
//! ERC-6492 has a reference validator in Solidity for the same. This one is a page shorter, has no bytecode that nobody can read,
//! and is stricter in two things: a wallet that is on the chain is asked as it is and not prepared by calls that the signature
//! names, and a wallet that is not there after its deployment is never asked whether its key signed.

use alloy::primitives::{Address, B256, Bytes, U256, eip191_hash_message};
use alloy::sol;
use alloy::sol_types::{SolCall, SolValue};

sol! {
    function isValidSignature(bytes32 hash, bytes signature) external view returns (bytes4);
}

/// What a signature of ERC-6492 ends with.
const SUFFIX: [u8; 32] =
    alloy::hex!("6492649264926492649264926492649264926492649264926492649264926492");

/// EVM instructions, by the names of the Yellow Paper, appendix H.
mod op {
    pub(super) const LT: u8 = 0x10;
    pub(super) const MUL: u8 = 0x02;
    pub(super) const CODECOPY: u8 = 0x39;
    pub(super) const EXTCODESIZE: u8 = 0x3b;
    pub(super) const RETURNDATASIZE: u8 = 0x3d;
    pub(super) const POP: u8 = 0x50;
    pub(super) const MLOAD: u8 = 0x51;
    pub(super) const MSTORE: u8 = 0x52;
    pub(super) const JUMPI: u8 = 0x57;
    pub(super) const GAS: u8 = 0x5a;
    pub(super) const JUMPDEST: u8 = 0x5b;
    pub(super) const PUSH1: u8 = 0x60;
    pub(super) const PUSH3: u8 = 0x62;
    pub(super) const PUSH20: u8 = 0x73;
    pub(super) const CALL: u8 = 0xf1;
    pub(super) const RETURN: u8 = 0xf3;
    pub(super) const STATICCALL: u8 = 0xfa;
}

/// A contract wallet's claim to have signed a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::api) struct Wallet {
    address: Address,
    /// What brings the wallet onto the chain: a contract, and what it is called with.
    deployment: Option<(Address, Bytes)>,
    question: Vec<u8>,
}

impl Wallet {
    /// Reads a signature that is claimed to be a wallet's; `None`: it ends as one of ERC-6492 and is none.
    pub(in crate::api) fn claim(address: Address, message: &str, signature: &[u8]) -> Option<Self> {
        let (deployment, signature) = match signature.strip_suffix(&SUFFIX) {
            None => (None, Bytes::copy_from_slice(signature)),
            Some(wrapped) => {
                let (factory, calldata, inner) =
                    <(Address, Bytes, Bytes)>::abi_decode_params(wrapped).ok()?;
                (Some((factory, calldata)), inner)
            }
        };
        let hash: B256 = eip191_hash_message(message);
        Some(Self {
            address,
            deployment,
            question: isValidSignatureCall { hash, signature }.abi_encode(),
        })
    }

    /// The instructions for a node, in this order:
    ///
    /// ```text
    /// CODECOPY(32, what stands behind the instructions: the deployment's call data, then the question)
    /// if EXTCODESIZE(wallet) = 0: CALL(factory, its call data)        only where the signature names one; however it ends
    /// answered = STATICCALL(wallet, the question) * (31 < RETURNDATASIZE)
    /// RETURN(answered * the first word of what came back)
    /// ```
    pub(in crate::api) fn program(&self) -> Bytes {
        let calldata = self.deployment.as_ref().map_or(&[][..], |(_, data)| data);
        let tail = [calldata, &self.question].concat();
        // What comes before the tail has one length, whatever the numbers in it are.
        let length = self.instructions(calldata.len(), tail.len(), 0).len();
        let mut program = self.instructions(calldata.len(), tail.len(), length);
        program.extend(tail);
        program.into()
    }

    fn instructions(&self, calldata: usize, tail: usize, length: usize) -> Vec<u8> {
        let mut code = Vec::new();
        push_all(&mut code, &[tail, length, 32]);
        code.push(op::CODECOPY);
        if let Some((factory, _)) = &self.deployment {
            push_address(&mut code, self.address);
            code.push(op::EXTCODESIZE);
            let mut call = Vec::new();
            push_all(&mut call, &[0, 0, calldata, 32, 0]);
            push_address(&mut call, *factory);
            call.extend([op::GAS, op::CALL, op::POP]);
            // over the call: the push of the place (four bytes), the jump itself, the call
            let behind = code.len() + 5 + call.len();
            push_all(&mut code, &[behind]);
            code.push(op::JUMPI);
            code.extend(call);
            code.push(op::JUMPDEST);
        }
        push_all(&mut code, &[32, 0, tail - calldata, 32 + calldata]);
        push_address(&mut code, self.address);
        code.extend([op::GAS, op::STATICCALL]);
        code.extend([op::RETURNDATASIZE, op::PUSH1, 31, op::LT, op::MUL]);
        code.extend([op::PUSH1, 0, op::MLOAD, op::MUL]);
        returning(&mut code);
        code
    }

    /// Whether the answer to its program says that the wallet signed. The whole word counts: the identity precompile, for one,
    /// answers with the question, which begins with the same four bytes.
    pub(in crate::api) fn has_signed(answer: &[u8]) -> bool {
        let mut magic = [0; 32];
        magic[..4].copy_from_slice(&isValidSignatureCall::SELECTOR);
        answer == magic
    }
}

/// The program that returns how much code an account has.
pub(in crate::api) fn code_size(address: Address) -> Bytes {
    let mut code = Vec::new();
    push_address(&mut code, address);
    code.push(op::EXTCODESIZE);
    returning(&mut code);
    code.into()
}

/// Whether the answer to it says that there is any.
pub(in crate::api) fn has_code(answer: &[u8]) -> bool {
    U256::try_from_be_slice(answer).is_some_and(|size| !size.is_zero())
}

/// Returns the word on top of the stack.
fn returning(code: &mut Vec<u8>) {
    code.extend([op::PUSH1, 0, op::MSTORE]);
    code.extend([op::PUSH1, 32, op::PUSH1, 0, op::RETURN]);
}

/// Pushes numbers, the last on top. Each fits three bytes: a request's body has at most 64 KiB.
fn push_all(code: &mut Vec<u8>, numbers: &[usize]) {
    for number in numbers {
        let [.., high, middle, low] = number.to_be_bytes();
        code.extend([op::PUSH3, high, middle, low]);
    }
}

fn push_address(code: &mut Vec<u8>, address: Address) {
    code.push(op::PUSH20);
    code.extend(address);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_counts_as_a_whole() {
        let magic = alloy::hex!("1626ba7e00000000000000000000000000000000000000000000000000000000");
        assert!(Wallet::has_signed(&magic));
        assert!(!Wallet::has_signed(&magic[..4]));
        let mut dirty = magic;
        dirty[31] = 1;
        for answer in [&dirty[..], &[0; 32], &[], &[0xff; 32]] {
            assert!(!Wallet::has_signed(answer));
        }
        assert!(has_code(&[0, 1]) && !has_code(&[0; 32]) && !has_code(&[]));
    }

    #[test]
    fn what_ends_as_a_signature_of_an_undeployed_wallet_must_be_one() {
        let wallet = Address::repeat_byte(1);
        assert!(Wallet::claim(wallet, "hello", &SUFFIX).is_none());
        let torn = [&[7; 40][..], &SUFFIX].concat();
        assert!(Wallet::claim(wallet, "hello", &torn).is_none());
        let whole = (
            Address::repeat_byte(2),
            Bytes::from_static(b"make"),
            Bytes::from_static(b"sig"),
        );
        let whole = [&whole.abi_encode_params()[..], &SUFFIX].concat();
        let claim = Wallet::claim(wallet, "hello", &whole).unwrap();
        let plain = Wallet::claim(wallet, "hello", b"sig").unwrap();
        assert_eq!(claim.question, plain.question);
        let factory = (Address::repeat_byte(2), Bytes::from_static(b"make"));
        assert_eq!(claim.deployment, Some(factory));
    }
}
