//! JSON-RPC 2.0 as far as we speak it: calls, and what came back for each.

use std::ops::Range;

use alloy::primitives::{B256, Bytes};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::error::{Error, cut};

/// One question.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) method: &'static str,
    pub(super) params: Value,
}

impl Call {
    pub(super) fn new(method: &'static str, params: Value) -> Self {
        Self { method, params }
    }

    /// The block at a height or a tag, without its transactions.
    pub(super) fn block(at: &str) -> Self {
        Self::new("eth_getBlockByNumber", json!([at, false]))
    }

    /// The block of a hash, without its transactions.
    pub(super) fn block_of(hash: B256) -> Self {
        Self::new("eth_getBlockByHash", json!([hash, false]))
    }

    fn request(&self, id: usize) -> Value {
        json!({"jsonrpc": "2.0", "id": id, "method": self.method, "params": self.params})
    }
}

/// The body of a request: an array, or a bare object where there is one call, since some services take no arrays.
pub(super) fn body(calls: &[Call]) -> Vec<u8> {
    let body = match calls {
        [call] => call.request(0),
        calls => calls
            .iter()
            .enumerate()
            .map(|(id, call)| call.request(id))
            .collect::<Vec<_>>()
            .into(),
    };
    body.to_string().into_bytes()
}

/// What came back for a batch. Answers stay where they are in the body until they are read, once, by whoever knows their type.
#[derive(Debug)]
pub(super) struct Answers {
    provider: String,
    methods: Vec<&'static str>,
    bodies: Vec<Vec<u8>>,
    found: Vec<Found>,
}

/// `At`: which body, and where in it.
#[derive(Clone, Debug)]
enum Found {
    Nothing,
    Null,
    At(usize, Range<usize>),
    Owned(Box<RawValue>),
    Refused(Refused),
}

/// A JSON-RPC error object.
#[derive(Clone, Debug, Deserialize)]
struct Refused {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
    data: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(default, borrow)]
    id: Option<&'a RawValue>,
    #[serde(default, borrow)]
    result: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<Refused>,
}

impl Answers {
    /// No answers, to be followed by some.
    pub(super) fn none(provider: &str) -> Self {
        Self {
            provider: provider.to_owned(),
            methods: Vec::new(),
            bodies: Vec::new(),
            found: Vec::new(),
        }
    }

    /// The answers to the calls that were sent after these.
    pub(super) fn append(&mut self, more: Self) {
        let before = self.bodies.len();
        self.methods.extend(more.methods);
        self.bodies.extend(more.bodies);
        self.found
            .extend(more.found.into_iter().map(|found| match found {
                Found::At(body, range) => Found::At(before + body, range),
                other => other,
            }));
    }

    /// Finds the answers to `calls` in a body. Their order is the service's choice (JSON-RPC 2.0, section 6).
    ///
    /// # Errors
    /// [`Error::Refused`] when one error stands for the whole batch; [`Error::NotJson`] for anything that is no JSON-RPC.
    pub(super) fn read(provider: &str, calls: &[Call], body: Vec<u8>) -> Result<Self, Error> {
        let methods: Vec<_> = calls.iter().map(|call| call.method).collect();
        let mut found = vec![Found::Nothing; calls.len()];
        let method = methods.first().copied().unwrap_or_default();
        let not_json = |source: Option<serde_json::Error>| Error::NotJson {
            provider: provider.to_owned(),
            method,
            text: cut(&String::from_utf8_lossy(&body[..body.len().min(300)])),
            source,
        };
        let is_array = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
        let replies: Vec<Reply<'_>> = if is_array {
            serde_json::from_slice(&body).map_err(|error| not_json(Some(error)))?
        } else {
            vec![serde_json::from_slice(&body).map_err(|error| not_json(Some(error)))?]
        };
        for reply in replies {
            let id = reply
                .id
                .and_then(|id| id.get().trim_matches('"').parse::<usize>().ok());
            let place = id.filter(|id| *id < found.len() && (is_array || calls.len() == 1));
            let Some(place) = place else {
                let whole = reply
                    .error
                    .map(|refused| refused.into_error(provider, method));
                return Err(whole.unwrap_or_else(|| not_json(None)));
            };
            found[place] = match (reply.error, reply.result) {
                (Some(refused), _) => Found::Refused(refused),
                (None, Some(raw)) => {
                    let start = raw.get().as_ptr().addr() - body.as_ptr().addr();
                    Found::At(0, start..start + raw.get().len())
                }
                (None, None) => Found::Null,
            };
        }
        Ok(Self {
            provider: provider.to_owned(),
            methods,
            bodies: vec![body],
            found,
        })
    }

    /// Answers that were heard one by one.
    pub(super) fn heard(
        provider: &str,
        calls: &[Call],
        heard: Vec<Result<Box<RawValue>, Error>>,
    ) -> Self {
        let found = heard.into_iter().map(|answer| match answer {
            Ok(raw) if raw.get() == "null" => Found::Null,
            Ok(raw) => Found::Owned(raw),
            Err(Error::Refused {
                code,
                message,
                data,
                ..
            }) => Found::Refused(Refused {
                code,
                message,
                data: data.and_then(|data| serde_json::value::to_raw_value(&data).ok()),
            }),
            Err(_) => Found::Nothing,
        });
        Self {
            provider: provider.to_owned(),
            methods: calls.iter().map(|call| call.method).collect(),
            bodies: Vec::new(),
            found: found.collect(),
        }
    }

    /// How many questions were asked.
    pub(super) fn len(&self) -> usize {
        self.found.len()
    }

    /// The errors among the answers.
    pub(super) fn refusals(&self) -> impl Iterator<Item = Error> {
        let pairs = self.methods.iter().zip(&self.found);
        pairs.filter_map(|(method, found)| match found {
            Found::Refused(refused) => Some(refused.clone().into_error(&self.provider, method)),
            Found::Nothing | Found::Null | Found::At(..) | Found::Owned(_) => None,
        })
    }

    /// Bytes of all that came.
    pub(super) fn bytes(&self) -> usize {
        let bodies = self.bodies.iter().map(Vec::len);
        let owned = self.found.iter().map(|found| match found {
            Found::Owned(raw) => raw.get().len(),
            Found::Nothing | Found::Null | Found::At(..) | Found::Refused(_) => 0,
        });
        bodies.sum::<usize>() + owned.sum::<usize>()
    }

    /// Reads the answer to one call; `None` for `null`.
    ///
    /// # Errors
    /// The refusal of this call; [`Error::Malformed`] when it is missing or of another type.
    pub(super) fn get<'a, T: Deserialize<'a>>(&'a self, place: usize) -> Result<Option<T>, Error> {
        let method = self.methods[place];
        let text = match &self.found[place] {
            Found::Null => return Ok(None),
            Found::At(body, range) => &self.bodies[*body][range.clone()],
            Found::Owned(raw) => raw.get().as_bytes(),
            Found::Refused(refused) => {
                return Err(refused.clone().into_error(&self.provider, method));
            }
            Found::Nothing => {
                return Err(self.malformed(place, "the answer is missing".to_owned()));
            }
        };
        serde_json::from_slice(text)
            .map(Some)
            .map_err(|error| self.malformed(place, error.to_string()))
    }

    /// Reads the answer to one call where `null` is no answer.
    ///
    /// # Errors
    /// As [`Self::get`]; [`Error::Malformed`] for `null`.
    pub(super) fn need<'a, T: Deserialize<'a>>(&'a self, place: usize) -> Result<T, Error> {
        self.get(place)?
            .ok_or_else(|| self.malformed(place, "null".to_owned()))
    }

    pub(super) fn malformed(&self, place: usize, problem: String) -> Error {
        Error::Malformed {
            provider: self.provider.clone(),
            method: self.methods[place],
            problem,
        }
    }
}

impl Refused {
    fn into_error(self, provider: &str, method: &'static str) -> Error {
        Error::Refused {
            provider: provider.to_owned(),
            method,
            code: self.code,
            message: cut(&self.message),
            data: self
                .data
                .and_then(|data| serde_json::from_str::<Bytes>(data.get()).ok()),
        }
    }
}

/// A number as JSON-RPC writes it (EIP-1474: `0x`, no leading zeros).
pub(super) fn quantity(number: u64) -> String {
    format!("{number:#x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls() -> [Call; 3] {
        [
            Call::block("latest"),
            Call::new("eth_chainId", json!([])),
            Call::new("eth_getLogs", json!([])),
        ]
    }

    #[test]
    fn answers_are_found_by_their_ids_in_any_order() {
        let body = r#" [{"jsonrpc":"2.0","id":2,"error":{"code":-32005,"message":"limit exceeded"}},
            {"id":0,"result":null},{"id":"1","result":"0x10"}]"#;
        let answers = Answers::read("node", &calls(), body.as_bytes().to_vec()).unwrap();
        assert_eq!(answers.get::<String>(0).unwrap(), None);
        assert_eq!(answers.need::<String>(1).unwrap(), "0x10");
        assert!(matches!(
            answers.need::<String>(2),
            Err(Error::Refused { code: -32005, .. })
        ));
        assert_eq!(answers.refusals().count(), 1);

        let mut more = Answers::none("node");
        more.append(answers);
        let body = br#"{"id":0,"result":"0x11"}"#.to_vec();
        more.append(Answers::read("node", &calls()[..1], body).unwrap());
        assert_eq!(more.need::<String>(1).unwrap(), "0x10");
        assert_eq!(more.need::<String>(3).unwrap(), "0x11");
    }

    #[test]
    fn an_answer_that_is_missing_is_an_error_of_that_call_alone() {
        let body = br#"[{"id":1,"result":"0x1"},{"id":0,"result":{}}]"#.to_vec();
        let answers = Answers::read("node", &calls(), body).unwrap();
        assert_eq!(answers.need::<String>(1).unwrap(), "0x1");
        assert!(matches!(
            answers.get::<String>(2),
            Err(Error::Malformed { .. })
        ));
        assert!(matches!(
            answers.get::<String>(0),
            Err(Error::Malformed { .. })
        ));
    }

    #[test]
    fn one_error_can_stand_for_a_whole_batch() {
        for body in [
            r#"{"id":null,"error":{"code":-32600,"message":"batch too large"}}"#,
            r#"[{"id":null,"error":{"code":-32600,"message":"batch too large"}}]"#,
        ] {
            let error = Answers::read("node", &calls(), body.as_bytes().to_vec()).unwrap_err();
            assert!(
                matches!(error, Error::Refused { code: -32600, .. }),
                "{error}"
            );
        }
    }

    #[test]
    fn what_is_no_json_is_no_answer() {
        for body in [
            "<html>",
            "",
            "[",
            r#"[{"id":7,"result":1}]"#,
            r#"{"id":0,"result":1}"#,
        ] {
            let error = Answers::read("node", &calls(), body.as_bytes().to_vec()).unwrap_err();
            assert!(matches!(error, Error::NotJson { .. }), "{error}");
        }
    }

    #[test]
    fn quantities_have_no_leading_zeros() {
        assert_eq!(quantity(0), "0x0");
        assert_eq!(quantity(1024), "0x400");
    }
}
