//! Warnings about the values of a statement's conditions.

use std::net::Ipv6Addr;

use crate::document::operator::ConditionOperator;
use crate::document::tree::Statement;
use crate::lint::finding::Finding;
use crate::lint::warning::LintWarning;

/// Values that do not compare as they look.
pub(crate) fn warnings(at: &str, statement: &Statement<String>) -> Vec<LintWarning> {
    let mut warnings = Vec::new();
    for (&operator, keys) in &statement.condition {
        for (key, values) in keys {
            let at = format!("{at}.Condition.{operator:?}.{key}");
            for value in values.as_slice() {
                if let Some(ipv4) = mapped(operator, value) {
                    let finding = Finding::MappedAddress { value: value.clone(), ipv4 };
                    warnings.push(LintWarning::new(at.clone(), finding, None));
                }
            }
            let Some(like) = operator.with_wildcards() else { continue };
            if values.as_slice().iter().any(|value| value.contains(['*', '?'])) {
                let mut corrected = statement.clone();
                if let Some(values) =
                    corrected.condition.get_mut(&operator).and_then(|k| k.remove(key))
                {
                    corrected.condition.entry(like).or_default().insert(key.clone(), values);
                }
                corrected.condition.retain(|_, keys| !keys.is_empty());
                let finding = Finding::LiteralWildcard { operator };
                warnings.push(LintWarning::new(at, finding, Some(&corrected)));
            }
        }
    }
    warnings
}

/// The same range in IPv4, if it is one of IPv4 addresses written as IPv6.
fn mapped(operator: ConditionOperator, value: &str) -> Option<String> {
    let addresses = [
        ConditionOperator::IpAddress,
        ConditionOperator::IpAddressIncludeBorder,
        ConditionOperator::NotIpAddress,
    ];
    if !addresses.contains(&operator) {
        return None;
    }
    let (address, bits) = value.split_once('/').unwrap_or((value, "128"));
    let ipv4 = address.parse::<Ipv6Addr>().ok()?.to_ipv4_mapped()?;
    match bits.parse::<u8>().ok()?.checked_sub(96)? {
        32 => Some(ipv4.to_string()),
        bits => (bits < 32).then(|| format!("{ipv4}/{bits}")),
    }
}
