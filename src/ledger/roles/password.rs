use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Role;
use crate::ledger::{Attempt, Error, Ledger};

/// Postgres's own default for new passwords (its `scram_iterations`).
const ITERATIONS: u32 = 4096;

/// Gives a login its password. Safe to repeat; connections that are open stay open.
///
/// The server is sent the SCRAM verifier and never the password: a statement with a password in it ends up in server logs as soon
/// as it fails or statements are logged.
///
/// # Errors
/// [`Error::UnusablePassword`]; database errors, fatal when this login may not alter the role.
pub async fn set_password(ledger: &Ledger, role: Role, password: &str) -> Result<(), Error> {
    let usable = (1..=256).contains(&password.len())
        && password
            .bytes()
            .all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if !usable {
        return Err(Error::UnusablePassword {
            role: role.as_str(),
        });
    }
    let verifier = verifier(password.as_bytes(), Uuid::new_v4().as_bytes());
    // ALTER ROLE takes no parameters. Nothing of this text comes from outside: the verifier is base64 and fixed marks.
    let statement = format!("ALTER ROLE {role} PASSWORD '{verifier}'");
    let mut connection = ledger.acquire().await?;
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
        .execute(&mut *connection)
        .await
        .attempt("set the password of a database login")?;
    Ok(())
}

/// The verifier that Postgres stores (RFC 5803's values in its own notation):
/// `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`, keys after RFC 5802 section 3.
fn verifier(password: &[u8], salt: &[u8]) -> String {
    let salted = salted_password(password, salt);
    let stored_key = Sha256::digest(mac(&salted, &[b"Client Key"]));
    let server_key = mac(&salted, &[b"Server Key"]);
    format!(
        "SCRAM-SHA-256${ITERATIONS}:{}${}:{}",
        STANDARD.encode(salt),
        STANDARD.encode(stored_key),
        STANDARD.encode(server_key)
    )
}

/// RFC 5802's `Hi`: PBKDF2 with HMAC-SHA-256 and one block of output.
fn salted_password(password: &[u8], salt: &[u8]) -> [u8; 32] {
    let mut last = mac(password, &[salt, &1_u32.to_be_bytes()]);
    let mut result = last;
    for _ in 1..ITERATIONS {
        last = mac(password, &[&last]);
        for (sum, byte) in result.iter_mut().zip(last) {
            *sum ^= byte;
        }
    }
    result
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC shortens a key that is longer than the hash's block of 64 bytes by hashing it (RFC 2104), so no length is refused.
    let mut block = [0; 64];
    if key.len() > block.len() {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let mut mac = Hmac::<Sha256>::new(&block.into());
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verifier_is_that_of_rfc_7677s_example() {
        // RFC 7677 section 3: password "pencil", this salt, 4096 iterations. The server's signature proves the server key, the
        // client's proof both client keys.
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let salted = salted_password(b"pencil", &salt);
        let exchange: &[u8] = b"n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
            s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let server_key = mac(&salted, &[b"Server Key"]);
        assert_eq!(
            STANDARD.encode(mac(&server_key, &[exchange])),
            "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
        );
        let client_key = mac(&salted, &[b"Client Key"]);
        let stored_key = Sha256::digest(client_key);
        let signature = mac(&stored_key, &[exchange]);
        let proof: Vec<u8> = client_key
            .iter()
            .zip(signature)
            .map(|(key, byte)| key ^ byte)
            .collect();
        assert_eq!(
            STANDARD.encode(proof),
            "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        let (stored_key, server_key) = (STANDARD.encode(stored_key), STANDARD.encode(server_key));
        assert_eq!(
            verifier(b"pencil", &salt),
            format!("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==${stored_key}:{server_key}")
        );
    }
}
