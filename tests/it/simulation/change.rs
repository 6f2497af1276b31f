//! What may become of an answer's bytes.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;

/// What becomes of an answer on its way.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// Other bytes come.
    Bytes(Vec<u8>),
    /// A part of it is another value, or lacks a part of its own.
    Part(Index, Option<Value>),
    /// A byte is another one.
    Byte(Index, u8),
    /// The rest is missing.
    Cut(Index),
}

/// Any change; most leave JSON that is nearly right.
pub(super) fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..300).prop_map(Change::Bytes),
        6 => (any::<Index>(), prop::option::of(value())).prop_map(|(place, value)| Change::Part(place, value)),
        2 => (any::<Index>(), any::<u8>()).prop_map(|(place, byte)| Change::Byte(place, byte)),
        1 => any::<Index>().prop_map(Change::Cut),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::collection::vec(any::<u8>(), 0..70)
            .prop_map(|bytes| alloy::hex::encode_prefixed(bytes).into()),
        any::<u64>().prop_map(|number| format!("{number:#x}").into()),
    ];
    leaf.prop_recursive(2, 8, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..4)
                .prop_map(|pairs| pairs.into_iter().collect::<Value>()),
        ]
    })
}

impl Change {
    /// The bytes that come in the place of the answers.
    pub(super) fn apply(&self, mut answers: Value) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => return bytes.clone(),
            Self::Part(place, value) => {
                let mut place = place.index(parts(&answers));
                if let Some(part) = part(&mut answers, &mut place) {
                    match value {
                        Some(value) => *part = value.clone(),
                        None => shorten(part),
                    }
                }
            }
            Self::Byte(..) | Self::Cut(_) => {}
        }
        let mut bytes = answers.to_string().into_bytes();
        match self {
            Self::Byte(place, byte) => *place.get_mut(&mut bytes) = *byte,
            Self::Cut(place) => bytes.truncate(place.index(bytes.len())),
            Self::Bytes(_) | Self::Part(..) => {}
        }
        bytes
    }
}

fn parts(value: &Value) -> usize {
    1 + match value {
        Value::Array(inner) => inner.iter().map(parts).sum(),
        Value::Object(inner) => inner.values().map(parts).sum(),
        _ => 0,
    }
}

/// The part that is number `place` in the order of reading.
fn part<'a>(value: &'a mut Value, place: &mut usize) -> Option<&'a mut Value> {
    if *place == 0 {
        return Some(value);
    }
    *place -= 1;
    let inner: Vec<&mut Value> = match value {
        Value::Array(inner) => inner.iter_mut().collect(),
        Value::Object(inner) => inner.values_mut().collect(),
        _ => Vec::new(),
    };
    inner.into_iter().find_map(|inner| part(inner, place))
}

fn shorten(value: &mut Value) {
    match value {
        Value::Array(inner) => drop(inner.pop()),
        Value::Object(inner) => {
            let first = inner.keys().next().cloned();
            drop(first.and_then(|first| inner.remove(&first)));
        }
        other => *other = Value::Null,
    }
}
