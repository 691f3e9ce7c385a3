//! Explores every state of a model, breadth first, and walks through one at random.

use std::collections::{HashSet, VecDeque};
use std::fmt::Debug;
use std::hash::Hash;

/// What can happen, and what it changes. Everything that the model does not know is an action of its own.
pub(super) trait Model {
    type State: Clone + Eq + Hash;
    type Action: Copy + Debug;

    fn start(&self) -> Self::State;

    /// What can happen next. A model ends nowhere: its time always goes on, at last.
    fn actions(&self, state: &Self::State) -> Vec<Self::Action>;

    fn next(&self, state: &Self::State, action: Self::Action) -> Self::State;

    /// The representative of all states that differ in names only.
    fn canonical(&self, state: Self::State) -> Self::State {
        state
    }
}

/// One step of a model.
pub(super) struct Step<'a, M: Model> {
    pub(super) before: &'a M::State,
    pub(super) action: M::Action,
    pub(super) after: &'a M::State,
}

/// The result of a search.
#[derive(Debug)]
pub(super) struct Search<A> {
    /// The shortest way to the first step that was looked for.
    pub(super) found: Option<Vec<A>>,
    pub(super) states: usize,
    /// The length of the longest of the shortest ways.
    pub(super) depth: usize,
}

/// Looks for a step in all states that can be reached. With nothing found, there is none.
///
/// # Panics
/// If there are more than `most` states: a search that ends early proves nothing.
pub(super) fn search<M: Model>(
    model: &M,
    most: usize,
    mut is_goal: impl FnMut(&Step<'_, M>) -> bool,
) -> Search<M::Action> {
    let start = model.canonical(model.start());
    let mut seen = HashSet::from([start.clone()]);
    // Of each state the one before it and the action between them; the first has neither.
    let mut origins: Vec<Option<(usize, M::Action)>> = vec![None];
    let mut queue = VecDeque::from([(start, 0, 0)]);
    let mut depth = 0;
    while let Some((before, number, distance)) = queue.pop_front() {
        depth = distance;
        let actions = model.actions(&before);
        assert!(!actions.is_empty(), "nothing can happen after {:?}", way(&origins, number));
        for action in actions {
            let after = model.next(&before, action);
            if is_goal(&Step { before: &before, action, after: &after }) {
                let mut found = way(&origins, number);
                found.push(action);
                return Search { found: Some(found), states: seen.len(), depth };
            }
            let after = model.canonical(after);
            if seen.insert(after.clone()) {
                assert!(seen.len() <= most, "there are more than {most} states");
                queue.push_back((after, origins.len(), distance + 1));
                origins.push(Some((number, action)));
            }
        }
    }
    Search { found: None, states: seen.len(), depth }
}

/// The actions that lead to a state.
fn way<A: Copy>(origins: &[Option<(usize, A)>], mut number: usize) -> Vec<A> {
    let mut actions = Vec::new();
    while let Some((before, action)) = origins[number] {
        actions.push(action);
        number = before;
    }
    actions.reverse();
    actions
}

/// Numbers that look random and are the same for each seed, by the generator `SplitMix64`.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// One of these.
    pub(super) fn choose<T: Copy>(&mut self, from: &[T]) -> T {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let below = from.len() as u64;
        from[usize::try_from((mixed ^ (mixed >> 31)) % below).unwrap()]
    }
}
