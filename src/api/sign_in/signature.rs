use alloy::primitives::{Address, Signature};

/// The account whose key signed a message (EIP-191's `personal_sign`); `None`: these bytes are no such signature.
///
/// One message, one signature: only the lower of the two equal `s` counts (EIP-2), and `v` is 27 or 28, or 0 or 1 as some hardware
/// wallets have it.
pub(in crate::api) fn signer(message: &str, signature: &[u8]) -> Option<Address> {
    let [.., 0 | 1 | 27 | 28] = signature else {
        return None;
    };
    let signature = Signature::from_raw(signature).ok()?;
    if signature.normalize_s().is_some() {
        return None;
    }
    signature.recover_address_from_msg(message).ok()
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{U256, address, uint};

    use super::*;

    /// The example of web3.js's `eth.accounts.sign`.
    const ACCOUNT: Address = address!("2c7536E3605D9C16a7a3D7b1898e529396a65c23");
    const SIGNATURE: [u8; 65] = alloy::hex!(
        "b91467e570a6466aa9e9876cbcd013baba02900b8979d43fe208a4a4f339f5fd6007e74cd82e037b800186422fc2da167c747ef045e5d18a5f5d4300f8e1a0291c"
    );

    #[test]
    fn a_keys_signature_is_read_in_one_form_only() {
        assert_eq!(signer("Some data", &SIGNATURE), Some(ACCOUNT));
        assert_ne!(signer("Some date", &SIGNATURE), Some(ACCOUNT));
        let mut bare = SIGNATURE;
        bare[64] -= 27;
        assert_eq!(signer("Some data", &bare), Some(ACCOUNT));
        for v in [2, 26, 29, 35, 37, 255] {
            bare[64] = v;
            assert_eq!(signer("Some data", &bare), None, "{v}");
        }
        // The other signature of the same message by the same key, which everybody can compute.
        let order: U256 =
            uint!(0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141_U256);
        let given = Signature::from_raw(&SIGNATURE).unwrap();
        let twin = Signature::new(given.r(), order - given.s(), !given.v());
        assert_eq!(twin.recover_address_from_msg("Some data").unwrap(), ACCOUNT);
        assert_eq!(signer("Some data", &twin.as_bytes()), None);
        assert_eq!(signer("Some data", &SIGNATURE[..64]), None);
        assert_eq!(signer("Some data", &[]), None);
    }
}
