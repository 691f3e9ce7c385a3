//! Whether two callers of different issuers could reach one object because a value of one equals a name of the other.
//!
//! The property: for any two admissible callers of different issuers, what their rendered policies allow does not
//! overlap, unless the operator wrote an overlap that exists for all values, such as a grant of a whole bucket.

use std::collections::BTreeMap;

use appserver_domain::{ClientId, IssuerName};
use chrono::DateTime;

use crate::document::operator::ConditionOperator;
use crate::document::tree::{Document, Effect, Statement, Strings};
use crate::oss::catalogue::PREFIX_KEY;
use crate::template::placeholder::{Placeholder, Source};
use crate::template::subject_form::SubjectForm;
use crate::template::text::{Piece, Text};

/// The callers of one client and one issuer.
pub(crate) type CallerGroup<'a> = (&'a ClientId, &'a IssuerName);

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

/// What an Allow covers: a resource, and the prefix of a listing if there is a condition on it.
struct Reach<'a> {
    resource: &'a Text,
    prefix: Option<Prefix<'a>>,
}

/// A value that a condition allows for a listing's prefix.
#[derive(Clone, Copy)]
struct Prefix<'a> {
    text: &'a Text,
    ignores_case: bool,
}

impl Reach<'_> {
    fn texts(&self) -> impl Iterator<Item = &Text> {
        std::iter::once(self.resource).chain(self.prefix.map(|prefix| prefix.text))
    }

    /// Whether it depends on the user, as the issuer describes it.
    fn is_of_a_user(&self) -> bool {
        self.texts().flat_map(Text::placeholders).any(of_user)
    }

    fn written(&self) -> String {
        self.prefix.map_or(self.resource, |prefix| prefix.text).written()
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

/// Whether they overlap for some values of the users, and not for all.
fn by_their_values(
    one: &Reach<'_>,
    we: CallerGroup<'_>,
    other: &Reach<'_>,
    they: CallerGroup<'_>,
) -> bool {
    let overlap = |users: [bool; 2]| {
        let meet = |ours: &Text, theirs: &Text| {
            meet(&symbols(ours, we, users[0]), &symbols(theirs, they, users[1]))
        };
        let resources =
            match (fields(one.resource, we, users[0]), fields(other.resource, they, users[1])) {
                (Some(ours), Some(theirs)) => {
                    ours.iter().zip(&theirs).all(|(a, b)| self::meet(a, b))
                }
                (Some(_) | None, _) => meet(one.resource, other.resource),
            };
        let prefixes = one.prefix.zip(other.prefix);
        resources
            && prefixes.is_none_or(|(ours, theirs)| {
                let ignores_case = ours.ignores_case || theirs.ignores_case;
                let symbols = |of: Prefix<'_>, callers, unnamed| {
                    let symbols = symbols(of.text, callers, unnamed).into_iter();
                    symbols
                        .map(|one| if ignores_case { one.folded() } else { one })
                        .collect::<Vec<_>>()
                };
                self::meet(&symbols(ours, we, users[0]), &symbols(theirs, they, users[1]))
            })
    };
    match [one.is_of_a_user(), other.is_of_a_user()] {
        // Shared by all callers of a grant.
        [false, false] => false,
        [true, true] => overlap([false, false]),
        // With a value that no policy names, only what the operator opened to all callers overlaps.
        one_of_them => overlap([false, false]) && !overlap(one_of_them),
    }
}

fn reaches(document: &Document<Text>) -> Vec<Reach<'_>> {
    let allows = document.statements.iter().filter(|one| one.effect == Effect::Allow);
    let of_statement = |statement| {
        let prefixes = prefixes(statement);
        let limited = move |resource| -> Vec<_> {
            match &prefixes[..] {
                [] => vec![Reach { resource, prefix: None }],
                prefixes => {
                    prefixes.iter().map(|&one| Reach { resource, prefix: Some(one) }).collect()
                }
            }
        };
        statement.resource.as_slice().iter().flat_map(limited)
    };
    allows.flat_map(of_statement).collect()
}

/// The values that a condition allows for a listing's prefix.
fn prefixes(statement: &Statement<Text>) -> Vec<Prefix<'_>> {
    let conditions = statement.condition.iter().filter(|(operator, _)| !operator.is_negated());
    let of_operator = |(operator, keys): (&ConditionOperator, _)| {
        let ignores_case = *operator == ConditionOperator::StringEqualsIgnoreCase;
        let keys: &BTreeMap<String, Strings<Text>> = keys;
        let of_prefix = keys.iter().filter(|(key, _)| key.eq_ignore_ascii_case(PREFIX_KEY));
        let texts = of_prefix.flat_map(|(_, values)| values.as_slice());
        texts.map(move |text| Prefix { text, ignores_case }).collect::<Vec<_>>()
    };
    conditions.flat_map(of_operator).collect()
}

fn of_user(placeholder: &Placeholder) -> bool {
    matches!(placeholder.source, Source::Subject(_) | Source::Claim(_))
}

/// `unnamed`: whether the values of the user are ones that no policy names.
fn symbols(text: &Text, (client, issuer): CallerGroup<'_>, unnamed: bool) -> Vec<Symbol> {
    let mut symbols = Vec::new();
    for piece in text.pieces() {
        match piece {
            Piece::Fixed(text) => symbols.extend(text.chars().map(wildcard_or_not)),
            Piece::Value(value) if unnamed && of_user(value) => symbols.push(Symbol::Unnamed),
            Piece::Value(value) => match &value.source {
                Source::Client => symbols.extend(client.as_str().chars().map(Symbol::Exactly)),
                Source::Issuer => symbols.extend(issuer.as_str().chars().map(Symbol::Exactly)),
                Source::Subject(SubjectForm::Hash) => {
                    let place = |place| Symbol::HashOf(issuer.as_str().to_owned(), place);
                    symbols.extend((0..HASH_DIGITS).map(place));
                }
                // Each moment has the same characters at the same places, but for its digits.
                Source::Now(format) => {
                    let moment = format.write(DateTime::UNIX_EPOCH);
                    let symbol = |c: char| match c {
                        '0'..='9' => Symbol::Digit,
                        c => Symbol::Exactly(c),
                    };
                    symbols.extend(moment.chars().map(symbol));
                }
                Source::Subject(SubjectForm::Plain | SubjectForm::Encoded)
                | Source::Claim(_)
                | Source::Parameter(_) => {
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

/// The five fields of a resource, so that a `*` of one cannot match the next; `None` for a shorter pattern.
fn fields(text: &Text, callers: CallerGroup<'_>, unnamed: bool) -> Option<Vec<Vec<Symbol>>> {
    let symbols = symbols(text, callers, unnamed);
    let fields: Vec<_> =
        symbols.splitn(5, |one| *one == Symbol::Exactly(':')).map(<[Symbol]>::to_vec).collect();
    (fields.len() == 5).then_some(fields)
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
