use futures::future::BoxFuture;

use super::{Documents, Error};
use crate::admission::Recorded;
use crate::ids::Did;
use crate::workflows::{Conclusion, Found, Frozen, Refusal, Resolution, Want, resolve};

/// Most things that are looked for before a decision; [`resolve`] promises to need fewer.
const MOST: usize = 16;

/// What came of a search.
#[derive(Debug)]
pub enum Search {
    /// It is decided.
    Decided(Result<Box<Frozen>, Refusal>),
    /// This cannot be had now, so nothing can be said.
    Waits {
        /// What is missing.
        want: Want,
        /// Why.
        error: Error,
    },
}

/// Looks for all that a decision wants, one after another, and decides. `registrations` answers with the registry's canonical
/// events about a DID. Whatever was found is noted in `found`, so that a search that waits goes on where it stood.
///
/// It is for whoever needs the answer now and keeps nothing: an intended purchase, an agent before it commits. The resolver does
/// the same in steps, each of which it records.
///
/// # Errors
/// Those of `registrations`. What strangers' servers do is an answer ([`Search::Waits`]), not an error.
pub async fn search<'a, E>(
    documents: &Documents,
    question: &Resolution<'_>,
    found: &mut Found,
    registrations: impl Fn(Did) -> BoxFuture<'a, Result<Vec<Recorded>, E>>,
) -> Result<Search, E> {
    let mut last = None;
    for _ in 0..MOST {
        match resolve(question, found) {
            Conclusion::Frozen(frozen) => return Ok(Search::Decided(Ok(frozen))),
            Conclusion::Refused(refusal) => return Ok(Search::Decided(Err(refusal))),
            Conclusion::Wants(Want::Registrations { did }) => {
                found.put_registrations(did, registrations(did).await?);
            }
            Conclusion::Wants(want) => match documents.find(&want).await {
                Ok(finding) => {
                    last = Some(want.clone());
                    found.put(want, finding);
                }
                Err(error) => return Ok(Search::Waits { want, error }),
            },
        }
    }
    let want = last.unwrap_or(Want::Registrations { did: question.did });
    let error = Error::Endless(MOST);
    Ok(Search::Waits { want, error })
}
