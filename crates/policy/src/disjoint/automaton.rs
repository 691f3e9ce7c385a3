//! A text with placeholders as an automaton over the keys that it covers for some values.
//!
//! It accepts at least the keys of every rendering. Values have no maximum length and no pattern here, so it may accept
//! more, which only makes the proof stricter.

use chrono::DateTime;

use super::callers::Callers;
use crate::template::placeholder::{Placeholder, ValueSource};
use crate::template::subject_form::{HASH_BYTES, SubjectForm};
use crate::template::text::{Piece, Text};
use crate::template::value_rule::ValueRules;

/// The shortest id of a client.
const CLIENT_LEAST: usize = 2;

/// The placeholders of a template, by number, and their possible values.
pub(super) struct Alphabet<'a> {
    pub(super) placeholders: &'a [&'a Placeholder],
    pub(super) rules: &'a ValueRules,
    pub(super) callers: &'a Callers,
}

/// The values of one placeholder.
pub(super) enum Values {
    /// These texts and no others.
    Listed(Vec<String>),
    /// Characters of a set, so many of them or perhaps more.
    Characters { set: Set, least: usize, more: bool },
}

/// A set of characters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Set {
    Any,
    NotSlash,
    Only(char),
    /// At least the characters of a path segment.
    Segment,
    /// Path segments and slashes.
    Path,
    /// What an encoded subject is made of.
    Encoded,
    /// What names of clients and issuers are made of.
    Name,
    Hexadecimal,
    Digit,
}

/// A transition of the automaton.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// One character of the set; in any case, if the condition's operator ignores case.
    Take(Set, Case),
    /// A value of the placeholder begins. Nothing is taken.
    Begin(usize),
    /// The placeholder's value is this one of those listed.
    Chose(usize, usize),
    /// The value ends.
    End(usize, Case),
    /// The prefix of a listing ends; what follows is the rest of a listed key.
    PrefixEnd,
}

/// Whether letters match letters of another case.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Case {
    Kept,
    Ignored,
}

/// Whether `*` and `?` in fixed text are wildcards.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wildcards {
    Match,
    Literal,
}

/// The states are numbers; the last one accepts.
pub(super) struct Automaton {
    pub(super) steps: Vec<Vec<(Step, usize)>>,
}

impl Set {
    fn holds(self, c: char) -> bool {
        match self {
            Self::Any => true,
            Self::NotSlash => c != '/',
            Self::Only(own) => c == own,
            Self::Segment => {
                !c.is_ascii() || c.is_ascii_alphanumeric() || "-_.~@+=,()!".contains(c)
            }
            Self::Path => c == '/' || Self::Segment.holds(c),
            Self::Encoded => c.is_ascii_alphanumeric() || "-_.~@+=,".contains(c),
            Self::Name => c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c),
            Self::Hexadecimal => c.is_ascii_digit() || ('a'..='f').contains(&c),
            Self::Digit => c.is_ascii_digit(),
        }
    }

    /// Whether the set holds the character. Without case, letters may also match any character beyond ASCII: RAM does
    /// not document its folding. A character of ASCII that is no letter has no case.
    pub(super) fn takes(self, c: char, case: Case) -> bool {
        let folds = |c: char| c.is_ascii_alphabetic() || !c.is_ascii();
        self.holds(c)
            || case == Case::Ignored
                && folds(c)
                && (self.holds(c.to_ascii_lowercase())
                    || self.holds(c.to_ascii_uppercase())
                    || match self {
                        Self::Only(own) if c.is_ascii() => !own.is_ascii(),
                        Self::Only(own) => folds(own),
                        Self::Digit => false,
                        Self::Any | Self::NotSlash | Self::Segment | Self::Path => true,
                        Self::Encoded | Self::Name | Self::Hexadecimal => !c.is_ascii(),
                    })
    }
}

impl Alphabet<'_> {
    pub(super) fn number(&self, placeholder: &Placeholder) -> usize {
        let found = self.placeholders.iter().position(|&one| one == placeholder);
        found.expect("the alphabet has all placeholders of the template")
    }

    pub(super) fn values(&self, placeholder: &Placeholder) -> Values {
        let any = |set| Values::Characters { set, least: 1, more: true };
        let names = |names: Vec<String>, least| match names[..] {
            [] => Values::Characters { set: Set::Name, least, more: true },
            _ => Values::Listed(names),
        };
        let rule = match &placeholder.source {
            ValueSource::Client => {
                return names(
                    self.callers.clients.iter().map(ToString::to_string).collect(),
                    CLIENT_LEAST,
                );
            }
            ValueSource::Issuer => {
                return names(self.callers.issuers.iter().map(ToString::to_string).collect(), 1);
            }
            ValueSource::Subject(SubjectForm::Plain) => return any(Set::Segment),
            ValueSource::Subject(SubjectForm::Encoded) => return any(Set::Encoded),
            ValueSource::Subject(SubjectForm::Hash) => {
                return Values::Characters {
                    set: Set::Hexadecimal,
                    least: HASH_BYTES,
                    more: false,
                };
            }
            ValueSource::Now(_) => return any(Set::Path),
            ValueSource::Claim(name) => self.rules.claims.get(name),
            ValueSource::Parameter(name) => self.rules.params.get(name),
        };
        match rule.and_then(|rule| rule.choices()) {
            Some(choices) => Values::Listed(choices.map(str::to_owned).collect()),
            None if placeholder.varies_in_depth => any(Set::Path),
            None => any(Set::Segment),
        }
    }

    /// Whether two different values always differ by more than the case of letters.
    pub(super) fn has_one_case(&self, placeholder: &Placeholder) -> bool {
        let is_lower =
            |text: &String| text.chars().all(|c| c.is_ascii() && !c.is_ascii_uppercase());
        match self.values(placeholder) {
            Values::Listed(values) => values.iter().all(is_lower),
            Values::Characters { set, .. } => matches!(set, Set::Name | Set::Hexadecimal),
        }
    }
}

impl Automaton {
    pub(super) fn new() -> Self {
        Self { steps: vec![Vec::new()] }
    }

    pub(super) fn last(&self) -> usize {
        self.steps.len() - 1
    }

    /// Adds a step to a new state.
    pub(super) fn then(&mut self, step: Step) {
        let last = self.last();
        self.steps.push(Vec::new());
        self.steps[last].push((step, last + 1));
    }

    /// Adds any number of characters, none included.
    pub(super) fn run(&mut self, set: Set) {
        let last = self.last();
        self.steps[last].push((Step::Take(set, Case::Kept), last));
    }

    /// Adds a text. `any` is what a wildcard matches.
    pub(super) fn text(
        &mut self,
        text: &Text,
        (wildcards, case): (Wildcards, Case),
        any: Set,
        alphabet: &Alphabet<'_>,
    ) {
        for piece in text.pieces() {
            match piece {
                Piece::Fixed(fixed) => self.fixed(fixed, (wildcards, case), any),
                Piece::Value(placeholder) => self.value(placeholder, case, alphabet),
            }
        }
    }

    pub(super) fn fixed(&mut self, text: &str, (wildcards, case): (Wildcards, Case), any: Set) {
        for c in text.chars() {
            match (c, wildcards) {
                ('*', Wildcards::Match) => self.run(any),
                ('?', Wildcards::Match) => self.then(Step::Take(any, Case::Kept)),
                // Another case of a character may be several characters.
                (c, _) if case == Case::Ignored && !c.is_ascii() => self.run(Set::Any),
                (c, _) => self.then(Step::Take(Set::Only(c), case)),
            }
        }
    }

    fn value(&mut self, placeholder: &Placeholder, case: Case, alphabet: &Alphabet<'_>) {
        let number = alphabet.number(placeholder);
        self.then(Step::Begin(number));
        if let ValueSource::Now(format) = &placeholder.source {
            // Each moment has the same characters at the same places, but for its digits.
            for c in format.write(DateTime::UNIX_EPOCH).chars() {
                let set = if c.is_ascii_digit() { Set::Digit } else { Set::Only(c) };
                self.then(Step::Take(set, case));
            }
        } else {
            match alphabet.values(placeholder) {
                Values::Characters { set, least, more } => {
                    (0..least).for_each(|_| self.then(Step::Take(set, case)));
                    if more {
                        let last = self.last();
                        self.steps[last].push((Step::Take(set, case), last));
                    }
                }
                Values::Listed(values) => self.one_of(number, &values, case),
            }
        }
        self.then(Step::End(number, case));
    }

    /// Adds a choice of texts.
    fn one_of(&mut self, number: usize, values: &[String], case: Case) {
        let first = self.last();
        let mut ends = Vec::new();
        for value in values {
            let mut at = first;
            for c in value.chars() {
                self.steps.push(Vec::new());
                let next = self.last();
                if case == Case::Ignored && !c.is_ascii() {
                    self.steps[at].push((Step::Take(Set::Any, case), next));
                    self.steps[next].push((Step::Take(Set::Any, case), next));
                } else {
                    self.steps[at].push((Step::Take(Set::Only(c), case), next));
                }
                at = next;
            }
            ends.push(at);
        }
        self.steps.push(Vec::new());
        let meeting = self.last();
        for (choice, end) in ends.into_iter().enumerate() {
            self.steps[end].push((Step::Chose(number, choice), meeting));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [(Set, &str); 8] = [
        (
            Set::Segment,
            "!()+,-.0123456789=@ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~\u{e9}\u{4e2d}",
        ),
        (
            Set::Path,
            "!()+,-./0123456789=@ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~\u{e9}\u{4e2d}",
        ),
        (Set::Encoded, "+,-.0123456789=@ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~"),
        (Set::Name, "-.0123456789_abcdefghijklmnopqrstuvwxyz"),
        (Set::Hexadecimal, "0123456789abcdef"),
        (Set::Digit, "0123456789"),
        (Set::Only('k'), "k"),
        (Set::Only('\u{e9}'), "\u{e9}"),
    ];

    /// Every character of ASCII and two others.
    fn characters() -> impl Iterator<Item = char> {
        ('\0'..='\u{7f}').chain(['\u{e9}', '\u{4e2d}'])
    }

    fn taken(set: Set, case: Case) -> String {
        characters().filter(|c| set.takes(*c, case)).collect()
    }

    #[test]
    fn a_set_has_the_characters_of_its_values() {
        for (set, held) in ALL {
            assert_eq!(taken(set, Case::Kept), held);
        }
        assert_eq!(taken(Set::Any, Case::Kept).chars().count(), 130);
        let but_slash: String = characters().filter(|c| *c != '/').collect();
        assert_eq!(taken(Set::NotSlash, Case::Kept), but_slash);
    }

    #[test]
    fn without_case_a_letter_may_be_any_character_beyond_ascii_and_a_digit_is_itself() {
        let beyond = "\u{e9}\u{4e2d}";
        let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
        let small = letters.to_ascii_lowercase();
        for (set, held) in [
            (Set::Segment, ALL[0].1.to_owned()),
            (Set::Path, ALL[1].1.to_owned()),
            (Set::Encoded, format!("{}{beyond}", ALL[2].1)),
            (Set::Name, format!("-.0123456789{letters}_{small}{beyond}")),
            (Set::Hexadecimal, format!("0123456789ABCDEFabcdef{beyond}")),
            (Set::Digit, "0123456789".to_owned()),
            (Set::Only('k'), format!("Kk{beyond}")),
            (Set::Only('-'), "-".to_owned()),
            (Set::Only('\u{e9}'), format!("{letters}{small}{beyond}")),
        ] {
            assert_eq!(taken(set, Case::Ignored), held);
        }
    }
}
