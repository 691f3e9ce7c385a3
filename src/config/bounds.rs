//! Bounds of numbers.

use super::field::Field;
use super::problems::Problems;

/// A number between its bounds; one that is not is noted with its unit.
pub(crate) fn number<N: Copy + PartialOrd + std::fmt::Display>(
    problems: &mut Problems,
    path: &str,
    field: Field<N>,
    least: N,
    most: N,
    unit: &str,
) -> Option<N> {
    let number = problems.require(path, field)?;
    if (least..=most).contains(&number) {
        return Some(number);
    }
    problems.add(path, format!("{number} is not between {least} and {most} {unit}"));
    None
}
