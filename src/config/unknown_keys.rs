//! The message about a key that does not exist: it suggests the nearest key of the same table, one that begins with its
//! name, or the key of this name in a table around it or inside it.

use super::documented_keys::keys_of;
use super::tables;

/// The message about this path.
pub(super) fn message(path: &str) -> String {
    let all = "`appserver check --defaults` prints all keys";
    match nearest(path).or_else(|| longer(path)).map(str::to_owned).or_else(|| elsewhere(path)) {
        None if path.starts_with("revoked.") => {
            "there is no such key; revocations are tables `[[revoked]]` of the file that `revoked.file` names".to_owned()
        }
        Some(key) => format!("there is no such key; is `{key}` meant? {all}"),
        None => format!("there is no such key; {all}"),
    }
}

/// The key of the same table that differs in the fewest letters, at most three and a third of them.
fn nearest(path: &str) -> Option<&'static str> {
    let names: Vec<_> = path.split('.').collect();
    let (name, parent) = names.split_last()?;
    let table = tables::table_of(parent)?;
    let known = keys_of(table).chain(tables::tables_in(table));
    let distance = |known: &'static str| (strsim::osa_distance(name, known), known);
    let (distance, key) = known.map(distance).min()?;
    (distance <= 3 && distance * 3 <= key.len()).then_some(key)
}

/// The only key of the same table that begins with this name: `password_file` for `password`.
fn longer(path: &str) -> Option<&'static str> {
    let names: Vec<_> = path.split('.').collect();
    let (name, parent) = names.split_last()?;
    let begins = |known: &&str| known.strip_prefix(name).is_some_and(|rest| rest.starts_with('_'));
    let mut longer = keys_of(tables::table_of(parent)?).filter(begins);
    longer.next().filter(|_| longer.next().is_none())
}

/// The key of this name, if one table around the path's, or else one inside it, has it.
fn elsewhere(path: &str) -> Option<String> {
    let names: Vec<_> = path.split('.').collect();
    let (name, parent) = names.split_last()?;
    let has = |table: &'static str| {
        keys_of(table).chain(tables::tables_in(table)).any(|known| known == *name)
    };
    // Whole paths for the tables around it; those at the top have other keys of the same names.
    let around = (1..parent.len()).rev().map(|depth| &parent[..depth]);
    let around = around.filter(|above| tables::table_of(above).is_some_and(has));
    let mut around = around.map(|above| format!("{}.{name}", above.join(".")));
    let table = tables::table_of(parent)?;
    let inside = tables::tables_below(table).filter(|(_, below)| has(below));
    let inside: Vec<_> = inside.map(|(relative, _)| format!("{relative}.{name}")).collect();
    around.next().or_else(|| <[_; 1]>::try_from(inside).ok().map(|[only]| only))
}
