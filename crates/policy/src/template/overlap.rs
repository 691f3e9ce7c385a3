//! Whether two callers of different issuers could reach one object because a value of one equals a name of the other.
//!
//! The property: for any two admissible callers of different issuers, what their rendered policies allow does not
//! overlap, unless the operator wrote an overlap that exists for all values, such as a grant of a whole bucket. A
//! listing reaches every key that begins with its prefix.

use appserver_domain::{ClientId, IssuerName};
use chrono::DateTime;

use crate::disjoint::{self, Prefix};
use crate::document::tree::{Document, Effect};
use crate::template::placeholder::{Placeholder, ValueSource};
use crate::template::subject_form::SubjectForm;
use crate::template::text::{Piece, Text};

/// The callers of one client and one issuer.
pub(crate) type CallerGroup<'a> = (&'a ClientId, &'a IssuerName);

/// The fields of a resource: `acs`, the service, the region, the account and the path.
const FIELDS: usize = 5;
const SERVICE: usize = 1;

/// `${subject.hash}` is SHA-256 in hexadecimal digits.
const HASH_DIGITS: usize = 64;

/// One symbol of a text after client and issuer are filled in.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Symbol {
    Exactly(char),
    /// `?`.
    Any,
    /// A digit of the time.
    Digit,
    /// `*`, and values that may be several segments.
    Run,
    /// A value of one segment: at least one character, and no `/`.
    Segment,
    /// A character of a hash of this issuer and a subject, by its place. A whole hash equals no other issuer's; but a value
    /// beside fixed hexadecimal digits can spell one.
    HashOf(String, usize),
    /// A value that no policy names.
    Unnamed,
}

impl Symbol {
    /// The same, where the case of letters does not count.
    fn folded(self) -> Self {
        match self {
            Self::Exactly(c) => Self::Exactly(c.to_lowercase().next().unwrap_or(c)),
            other => other,
        }
    }
}

/// What an Allow covers: a resource, or the keys of a bucket that a listing reaches.
struct Reach<'a> {
    resource: &'a Text,
    listing: Option<Option<Prefix<'a>>>,
}

impl Reach<'_> {
    fn texts(&self) -> impl Iterator<Item = &Text> {
        std::iter::once(self.resource).chain(self.prefix().map(|prefix| prefix.text))
    }

    /// The prefix that a listing is limited to.
    fn prefix(&self) -> Option<Prefix<'_>> {
        self.listing.flatten()
    }

    /// Whether it depends on the user, as the issuer describes it.
    fn is_of_a_user(&self) -> bool {
        self.texts().flat_map(Text::placeholders).any(of_user)
    }

    fn written(&self) -> String {
        self.prefix().map_or(self.resource, |prefix| prefix.text).written()
    }

    /// The five fields of the resources that it reaches, so that a `*` of one cannot match the next. A shorter pattern
    /// ends in the `*` of the others.
    fn fields(&self, symbols: impl Fn(&Text) -> Vec<Symbol>) -> Vec<Vec<Symbol>> {
        let resource = symbols(self.resource);
        let mut fields: Vec<_> = resource
            .splitn(FIELDS, |one| *one == Symbol::Exactly(':'))
            .map(<[Symbol]>::to_vec)
            .collect();
        fields.resize(FIELDS, vec![Symbol::Run]);
        // RAM does not say that the letter case of a service counts.
        fields[SERVICE] = fields[SERVICE].iter().cloned().map(Symbol::folded).collect();
        if self.listing.is_some() {
            let prefix = self.prefix().map(|prefix| symbols(prefix.text)).unwrap_or_default();
            let path = &mut fields[FIELDS - 1];
            path.push(Symbol::Exactly('/'));
            path.extend(prefix);
            path.push(Symbol::Run);
        }
        fields
    }
}

/// Two texts by which these callers could reach the same object, if there are any.
pub(crate) fn of_callers(
    ours: &Document<Text>,
    we: CallerGroup<'_>,
    theirs: &Document<Text>,
    they: CallerGroup<'_>,
) -> Option<(String, String)> {
    let theirs = reaches(theirs);
    reaches(ours).iter().find_map(|one| {
        let other = theirs.iter().find(|other| by_their_values(one, we, other, they))?;
        Some((one.written(), other.written()))
    })
}

/// Whether a user of the one and an equally named user of the other could reach the same objects: each reach is of a user
/// and does not distinguish issuers.
pub(crate) fn of_equal_users(ours: &Document<Text>, theirs: &Document<Text>) -> bool {
    let merging = |document| {
        let merges = |reach: &Reach<'_>| reach.texts().any(|text| text.merges_issuers(false));
        reaches(document).into_iter().filter(merges).collect::<Vec<_>>()
    };
    let (ours, theirs) = (merging(ours), merging(theirs));
    let any_value = |text: &Text| text.any_value().chars().map(wildcard_or_not).collect::<Vec<_>>();
    let both =
        |one: &Reach<'_>, other: &Reach<'_>| overlap([one, other], |_, text| any_value(text));
    ours.iter().any(|one| theirs.iter().any(|other| both(one, other)))
}

/// Whether they overlap for some values of the users, and not for all.
fn by_their_values(
    one: &Reach<'_>,
    we: CallerGroup<'_>,
    other: &Reach<'_>,
    they: CallerGroup<'_>,
) -> bool {
    let overlap = |users: [bool; 2]| {
        overlap([one, other], |side, text| symbols(text, [we, they][side], users[side]))
    };
    match [one.is_of_a_user(), other.is_of_a_user()] {
        // Shared by all callers of a grant.
        [false, false] => false,
        [true, true] => overlap([false, false]),
        // With a value that no policy names, only what the operator opened to all callers overlaps.
        one_of_them => overlap([false, false]) && !overlap(one_of_them),
    }
}

/// Whether some resource is reached by both, with the symbols of a text of each side.
fn overlap(reaches: [&Reach<'_>; 2], symbols: impl Fn(usize, &Text) -> Vec<Symbol>) -> bool {
    let ignores_case =
        reaches.iter().filter_map(|reach| reach.prefix()).any(|prefix| prefix.ignores_case);
    let folded = |symbols: Vec<Symbol>| {
        let fold = |one: Symbol| if ignores_case { one.folded() } else { one };
        symbols.into_iter().map(fold).collect()
    };
    let [ours, theirs] =
        [0, 1].map(|side| reaches[side].fields(|text| folded(symbols(side, text))));
    ours.iter().zip(&theirs).all(|(one, other)| meet(one, other))
}

fn reaches(document: &Document<Text>) -> Vec<Reach<'_>> {
    let mut reaches = Vec::new();
    for statement in document.statements.iter().filter(|one| one.effect == Effect::Allow) {
        for resource in statement.resource.as_slice() {
            reaches.push(Reach { resource, listing: None });
            let listings = disjoint::listings(statement, resource).into_iter().map(Some);
            reaches.extend(listings.map(|listing| Reach { resource, listing }));
        }
    }
    reaches
}

fn of_user(placeholder: &Placeholder) -> bool {
    matches!(placeholder.source, ValueSource::Subject(_) | ValueSource::Claim(_))
}

/// `unnamed`: whether the values of the user are ones that no policy names.
fn symbols(text: &Text, (client, issuer): CallerGroup<'_>, unnamed: bool) -> Vec<Symbol> {
    let mut symbols = Vec::new();
    for piece in text.pieces() {
        match piece {
            Piece::Fixed(text) => symbols.extend(text.chars().map(wildcard_or_not)),
            Piece::Value(value) if unnamed && of_user(value) => symbols.push(Symbol::Unnamed),
            Piece::Value(value) => match &value.source {
                ValueSource::Client => symbols.extend(client.as_str().chars().map(Symbol::Exactly)),
                ValueSource::Issuer => symbols.extend(issuer.as_str().chars().map(Symbol::Exactly)),
                ValueSource::Subject(SubjectForm::Hash) => {
                    let place = |place| Symbol::HashOf(issuer.as_str().to_owned(), place);
                    symbols.extend((0..HASH_DIGITS).map(place));
                }
                // Each moment has the same characters at the same places, but for its digits.
                ValueSource::Now(format) => {
                    let moment = format.write(DateTime::UNIX_EPOCH);
                    let symbol = |c: char| match c {
                        '0'..='9' => Symbol::Digit,
                        c => Symbol::Exactly(c),
                    };
                    symbols.extend(moment.chars().map(symbol));
                }
                ValueSource::Subject(SubjectForm::Plain | SubjectForm::Encoded)
                | ValueSource::Claim(_)
                | ValueSource::Parameter(_) => {
                    symbols.push(if value.varies_in_depth { Symbol::Run } else { Symbol::Segment });
                }
            },
        }
    }
    symbols
}

fn wildcard_or_not(c: char) -> Symbol {
    match c {
        '*' => Symbol::Run,
        '?' => Symbol::Any,
        c => Symbol::Exactly(c),
    }
}

/// Whether some text matches both. It visits every pair of positions that can be reached together once.
fn meet(ours: &[Symbol], theirs: &[Symbol]) -> bool {
    let width = theirs.len() + 1;
    let mut seen = vec![false; (ours.len() + 1) * width];
    let mut open = vec![(0, 0)];
    while let Some((i, j)) = open.pop() {
        if std::mem::replace(&mut seen[i * width + j], true) {
            continue;
        }
        let (one, other) = (ours.get(i), theirs.get(j));
        if (one, other) == (None, None) {
            return true;
        }
        // A run may be empty.
        if one == Some(&Symbol::Run) {
            open.push((i + 1, j));
        }
        if other == Some(&Symbol::Run) {
            open.push((i, j + 1));
        }
        let (Some(one), Some(other)) = (one, other) else { continue };
        if !have_one_in_common(one, other) {
            continue;
        }
        // A run or a segment may continue after a character.
        let lasts = |symbol: &Symbol| matches!(symbol, Symbol::Run | Symbol::Segment);
        open.push((i + 1, j + 1));
        if lasts(one) {
            open.push((i, j + 1));
        }
        if lasts(other) {
            open.push((i + 1, j));
        }
    }
    false
}

/// Whether some character, or a whole value, matches both.
fn have_one_in_common(one: &Symbol, other: &Symbol) -> bool {
    match (one, other) {
        (Symbol::Exactly(one), Symbol::Exactly(other)) => one == other,
        // At the same place of the hash the two are compared as wholes.
        (Symbol::HashOf(one, at), Symbol::HashOf(other, there)) => one == other || at != there,
        (Symbol::Segment, Symbol::Exactly(c)) | (Symbol::Exactly(c), Symbol::Segment) => *c != '/',
        (Symbol::Digit, Symbol::Exactly(c)) | (Symbol::Exactly(c), Symbol::Digit) => {
            c.is_ascii_digit()
        }
        (Symbol::Unnamed, other) | (other, Symbol::Unnamed) => {
            matches!(other, Symbol::Run | Symbol::Segment)
        }
        (Symbol::HashOf(..), Symbol::Exactly(c)) | (Symbol::Exactly(c), Symbol::HashOf(..)) => {
            matches!(c, '0'..='9' | 'a'..='f')
        }
        (
            Symbol::Any
            | Symbol::Run
            | Symbol::Segment
            | Symbol::Digit
            | Symbol::HashOf(..)
            | Symbol::Exactly(_),
            _,
        ) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_equals_itself_alone_and_may_have_any_character_of_another_at_another_place() {
        let hash = |issuer: &str, at| Symbol::HashOf(issuer.to_owned(), at);
        for (other, expected) in [
            (hash("google", 3), true),
            (hash("google", 4), true),
            (hash("github", 4), true),
            (hash("github", 3), false),
            (Symbol::Exactly('0'), true),
            (Symbol::Exactly('f'), true),
            (Symbol::Exactly('g'), false),
            (Symbol::Exactly('F'), false),
            (Symbol::Run, true),
            (Symbol::Unnamed, false),
        ] {
            let decided = have_one_in_common(&hash("google", 3), &other);
            assert_eq!(decided, expected, "{other:?}");
            assert_eq!(have_one_in_common(&other, &hash("google", 3)), decided, "{other:?}");
        }
    }

    fn matches(symbols: &[Symbol], text: &str) -> bool {
        let Some((first, rest)) = symbols.split_first() else { return text.is_empty() };
        let mut after = text.chars();
        let next = after.next();
        let after = after.as_str();
        match first {
            Symbol::Run => matches(rest, text) || next.is_some() && matches(symbols, after),
            Symbol::Segment => {
                let taken = next.is_some_and(|c| c != '/');
                taken && (matches(rest, after) || matches(symbols, after))
            }
            Symbol::Exactly(own) => next == Some(*own) && matches(rest, after),
            _ => next.is_some() && matches(rest, after),
        }
    }

    /// All lists of up to so many items.
    fn lists<T: Clone>(items: &[T], longest: usize) -> Vec<Vec<T>> {
        let mut lists = vec![Vec::new()];
        let mut begin = 0;
        for _ in 0..longest {
            let end = lists.len();
            for i in begin..end {
                for item in items {
                    lists.push([&lists[i][..], std::slice::from_ref(item)].concat());
                }
            }
            begin = end;
        }
        lists
    }

    #[test]
    fn two_patterns_meet_if_and_only_if_some_short_text_matches_both() {
        let symbols =
            [Symbol::Exactly('a'), Symbol::Exactly('/'), Symbol::Any, Symbol::Run, Symbol::Segment];
        let texts = lists(&['a', 'b', '/'], 4);
        let texts: Vec<String> = texts.iter().map(|text| text.iter().collect()).collect();
        let patterns: Vec<_> = lists(&symbols, 3)
            .into_iter()
            .map(|one| {
                let matched: Vec<bool> = texts.iter().map(|text| matches(&one, text)).collect();
                (one, matched)
            })
            .collect();
        for (one, of_one) in &patterns {
            for (other, of_other) in &patterns {
                let shared = of_one.iter().zip(of_other).any(|(one, other)| *one && *other);
                assert_eq!(meet(one, other), shared, "{one:?} and {other:?}");
            }
        }
    }
}
