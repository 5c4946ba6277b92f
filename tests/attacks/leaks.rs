//! Secrets: each tenant has one in its variables, of a form that can be found wherever it turns up.

use std::sync::LazyLock;

use regex::bytes::Regex;
use serde_json::Value;

static SECRET: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"CANARY_([a-z0-9-]+)_[0-9a-f]{32}").unwrap());

/// The secret of the worker called `name`.
pub fn secret(name: &str) -> String {
    let random: u128 = (u128::from(random_u64()) << 64) | u128::from(random_u64());
    format!("CANARY_{name}_{random:032x}")
}

/// From the random keys of the standard library's hash maps.
fn random_u64() -> u64 {
    use std::hash::BuildHasher;
    std::collections::hash_map::RandomState::new().hash_one(0)
}

/// `Err` if there is a secret in `bytes` that is not `receiver`'s.
pub fn check(bytes: &[u8], receiver: Option<&str>, place: &str) -> Result<(), String> {
    for found in SECRET.captures_iter(bytes) {
        let owner = String::from_utf8_lossy(&found[1]).into_owned();
        if receiver != Some(owner.as_str()) {
            return Err(format!("the secret of {owner} is in {place}"));
        }
    }
    Ok(())
}

/// `Err` if a line of the server's log has a secret of another worker than the one that the line is about.
pub fn check_log(log: &str) -> Result<(), String> {
    for line in log.lines().filter(|line| line.contains("CANARY_")) {
        let record: Value = serde_json::from_str(line).unwrap_or_default();
        check(line.as_bytes(), record["worker"].as_str(), &format!("the log: {line:.300}"))?;
    }
    Ok(())
}
