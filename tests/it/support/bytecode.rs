//! Four contracts in bytecode, for what no keeper contract does and anybody's contract may do. Each is shown in mnemonics.

use alloy::hex;
use alloy::primitives::{Address, Bytes, U256};
use tidewatch::keeper::Call;

/// Makes the calls that its input lists, each as a word with the address, a word with the length, and the data; if one reverts, all
/// do, with its reason.
///
/// ```text
/// i = 0
/// loop: JUMPDEST  if !(CALLDATASIZE > i) goto end
///       len = CALLDATALOAD(i + 32); CALLDATACOPY(0, i + 64, len)
///       if !CALL(GAS, CALLDATALOAD(i), 0, 0, len, 0, 0) goto fail
///       i = i + len + 64; goto loop
/// end:  JUMPDEST STOP
/// fail: JUMPDEST RETURNDATACOPY(0, 0, RETURNDATASIZE) REVERT(0, RETURNDATASIZE)
/// ```
const BATCHER: &[u8] = &hex!(
    "60005b80361115602f578060200135808260400160003760006000826000600086355af115603157016040016002565b005b3d6000803e3d6000fd"
);

/// Emits a log of four topics: its input's first four words, with the rest as data.
///
/// ```text
/// size = CALLDATASIZE - 128; CALLDATACOPY(0, 128, size)
/// LOG4(0, size, CALLDATALOAD(0), CALLDATALOAD(32), CALLDATALOAD(64), CALLDATALOAD(96)) STOP
/// ```
const ANNOUNCER: &[u8] = &hex!("60803603806080600037606035604035602035600035846000a400");

/// Answers a word of zero to everything: as a library for times, that nothing is ever too early or too late.
///
/// ```text
/// RETURN(0, 32)
/// ```
const TIMELESS: &[u8] = &hex!("60206000f3");

/// A contract wallet of one owner (ERC-1271): answers `isValidSignature(bytes32, bytes)` with the magic value when the signature is
/// the owner's over the hash, and reverts otherwise, as a Safe does. The owner's address stands between the two parts.
///
/// ```text
/// [0] = the hash; [32] = v; [64] = r; [96] = s                      from where the ABI puts them
/// STATICCALL(GAS, 1, 0, 128, 128, 32)                               ecrecover
/// if owner = [128]: RETURN(magic value)  else REVERT(0, 0)
/// ```
const WALLET: (&[u8], &[u8]) = (
    &hex!(
        "600435600052" // the hash
        "60a43560f81c602052" // v, a byte at the front of its word
        "606435604052"
        "608435606052"
        "60206080608060006001" "5afa50"
        "73"
    ),
    &hex!("60805114604857600080fd5b631626ba7e60e01b60005260206000f3"),
);

/// Creation code of a wallet of that owner.
pub(crate) fn wallet(owner: Address) -> Bytes {
    let (before, after) = WALLET;
    created(&[before, owner.as_slice(), after].concat()).into()
}

/// Creates the contract that makes several calls in one transaction.
pub(crate) fn create_batcher() -> Call {
    create(BATCHER, "create a batching contract")
}

/// Creates the contract that emits whatever it is told.
pub(crate) fn create_announcer() -> Call {
    create(ANNOUNCER, "create a contract that emits anything")
}

/// Creates the library without a sense of time.
pub(crate) fn create_timeless() -> Call {
    create(TIMELESS, "create a library without a sense of time")
}

/// The input with which the batching contract makes these calls.
pub(crate) fn batch(calls: &[Call]) -> Bytes {
    let mut input = Vec::new();
    for call in calls {
        input.extend(call.to.unwrap().into_word());
        input.extend(U256::from(call.data.len()).to_be_bytes::<32>());
        input.extend(&call.data);
    }
    input.into()
}

fn create(runtime: &[u8], what: &str) -> Call {
    Call::create(created(runtime), what)
}

/// Code that copies what stands behind it into the new account: `CODECOPY(0, 11, length) RETURN(0, length)`.
fn created(runtime: &[u8]) -> Vec<u8> {
    let length = u8::try_from(runtime.len()).unwrap();
    let mut code = vec![
        0x60, length, 0x80, 0x60, 0x0b, 0x60, 0x00, 0x39, 0x60, 0x00, 0xf3,
    ];
    code.extend(runtime);
    code
}
