use axum::http::{HeaderMap, header};

use super::Shared;
use super::problem::Problem;
use super::sign_in::Account;

/// Who is asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// Somebody who showed no token.
    Anybody,
    /// Somebody who signed in.
    Account(Account),
    /// Somebody who showed the operator's token.
    Operator,
}

/// Somebody who showed who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Somebody who signed in.
    Account(Account),
    /// Somebody who showed the operator's token.
    Operator,
}

impl Shared {
    /// Who is asking. A token that is shown and wrong is refused even where none is needed: its owner should learn of it.
    ///
    /// The answer never depends on what is asked for.
    pub(super) async fn caller(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        let Some(value) = headers.get(header::AUTHORIZATION) else {
            return Ok(Caller::Anybody);
        };
        let shown = bearer(value.as_bytes()).ok_or_else(Problem::invalid_token)?;
        if let Some(account) = self.account(shown).await? {
            if account.until <= self.clock.now() {
                return Err(Problem::expired_token());
            }
            return Ok(Caller::Account(account));
        }
        if self.operator_token.is(shown).await? {
            Ok(Caller::Operator)
        } else {
            Err(Problem::invalid_token())
        }
    }

    /// Lets nobody pass who does not say who it is.
    pub(super) async fn known(&self, headers: &HeaderMap) -> Result<Known, Problem> {
        match self.caller(headers).await? {
            Caller::Anybody => Err(Problem::unauthenticated()),
            Caller::Account(account) => Ok(Known::Account(account)),
            Caller::Operator => Ok(Known::Operator),
        }
    }

    /// Whose access token it is, over or not; `None`: it is none.
    async fn account(&self, shown: &[u8]) -> Result<Option<Account>, Problem> {
        let Some(keeper) = &self.keeper else {
            return Ok(None);
        };
        if !Account::is_shaped(shown) {
            return Ok(None);
        }
        let key = self.sign_in.key().await?;
        let on = (&self.sign_in.origin, &key);
        Ok(Account::read(shown, on, keeper.chain_id))
    }
}

/// The token of an `Authorization` header (RFC 6750 section 2.1); the scheme's name has any case (RFC 9110 section 11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    let token = token.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"Bearer ") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bearer_tokens_are_read() {
        assert_eq!(bearer(b"Bearer abc"), Some(b"abc".as_slice()));
        assert_eq!(bearer(b"bearer  abc "), Some(b"abc".as_slice()));
        for other in [b"Basic abc=".as_slice(), b"Bearer", b"Bearer ", b"", b"abc"] {
            assert_eq!(bearer(other), None);
        }
    }
}
