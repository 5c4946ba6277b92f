//! The types that fields have: how each is decoded from a value, and what is said when it is another.

use std::collections::BTreeMap;

use super::{At, Decode, Located, Report};
use crate::value::Value;

impl Decode for String {
    fn decode(at: &At<'_>, report: &mut Report<'_>) -> Option<Self> {
        match &at.node.value {
            Value::String(text) => Some(text.clone()),
            _ => {
                report.wrong_type(at, "a string");
                None
            }
        }
    }
}

impl Decode for bool {
    fn decode(at: &At<'_>, report: &mut Report<'_>) -> Option<Self> {
        match at.node.value {
            Value::Bool(value) => Some(value),
            _ => {
                report.wrong_type(at, "a boolean");
                None
            }
        }
    }
}

impl Decode for u64 {
    fn decode(at: &At<'_>, report: &mut Report<'_>) -> Option<Self> {
        match at.node.value {
            Value::Integer(value) => u64::try_from(value).ok().or_else(|| {
                report.error(at, format!("`{}` cannot be negative", at.key), "give 0 or more");
                None
            }),
            _ => {
                report.wrong_type(at, "an integer");
                None
            }
        }
    }
}

impl Decode for u16 {
    fn decode(at: &At<'_>, report: &mut Report<'_>) -> Option<Self> {
        match at.node.value {
            Value::Integer(value) => Self::try_from(value).ok().or_else(|| {
                report.error(at, format!("`{}` is {value}, which is no port number", at.key), "give 0 to 65535");
                None
            }),
            _ => {
                report.wrong_type(at, "an integer");
                None
            }
        }
    }
}

impl Decode for f64 {
    fn decode(at: &At<'_>, report: &mut Report<'_>) -> Option<Self> {
        match at.node.value {
            Value::Float(value) => Some(value),
            #[expect(clippy::cast_precision_loss, reason = "settings are far below 2^53")]
            Value::Integer(value) => Some(value as Self),
            _ => {
                report.wrong_type(at, "a number");
                None
            }
        }
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(at: &At<'_>, report: &mut Report<'_>) -> Option<Self> {
        let items = at.items(report)?;
        // Every item is looked at, so that all errors are found.
        let decoded: Vec<Option<T>> = items.iter().map(|item| T::decode(item, report)).collect();
        decoded.into_iter().collect()
    }
}

impl<T: Decode> Decode for BTreeMap<String, T> {
    fn decode(at: &At<'_>, report: &mut Report<'_>) -> Option<Self> {
        let entries = at.entries(report)?;
        let decoded: Vec<Option<(String, T)>> =
            entries.iter().map(|(key, item)| Some(((*key).to_owned(), T::decode(item, report)?))).collect();
        decoded.into_iter().collect()
    }
}

impl Decode for serde_json::Value {
    fn decode(at: &At<'_>, _report: &mut Report<'_>) -> Option<Self> {
        Some(at.node.value.to_json())
    }
}

impl<T: Decode> Decode for Located<T> {
    fn decode(at: &At<'_>, report: &mut Report<'_>) -> Option<Self> {
        T::decode(at, report).map(|value| at.located(value))
    }
}
