//! Values that other layers derive from a token and keep with it, such as the bytes of an HTTP answer.
//!
//! There is at most one value of each type. The layer that needs it owns the type; the cache only stores it.

use std::any::Any;
use std::fmt;
use std::sync::OnceLock;

/// A list that only grows, because readers hold references into it and take no lock. It has one entry per type, of which
/// there are two.
#[derive(Default)]
pub(super) struct Attachments(OnceLock<Box<Node>>);

struct Node {
    value: Box<dyn Any + Send + Sync>,
    next: Attachments,
}

impl Attachments {
    /// The value of type `T`; `make` creates it for the first caller.
    pub(super) fn get_or_init<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> &T {
        let mut list = self;
        while let Some(node) = list.0.get() {
            match node.value.downcast_ref() {
                Some(value) => return value,
                None => list = &node.next,
            }
        }
        let mut new: Box<dyn Any + Send + Sync> = Box::new(make());
        loop {
            // Another thread may have appended meanwhile, and if its value is of this type, it is the one.
            let node = Box::new(Node { value: new, next: Self::default() });
            match list.0.set(node) {
                Ok(()) => {}
                Err(rejected) => {
                    new = rejected.value;
                    if let Some(node) = list.0.get()
                        && !node.value.is::<T>()
                    {
                        list = &node.next;
                        continue;
                    }
                }
            }
            let node = list.0.get().expect("it was just set, by this thread or another");
            return node.value.downcast_ref().expect("its type was compared");
        }
    }
}

/// Attachments may hold secrets, so they are not printed.
impl fmt::Debug for Attachments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachments").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_has_one_value_which_is_made_once() {
        let attachments = Attachments::default();
        assert_eq!(*attachments.get_or_init(|| 1_u8), 1);
        assert_eq!(attachments.get_or_init(|| "secret".to_owned()), "secret");
        assert_eq!(*attachments.get_or_init::<u8>(|| unreachable!()), 1);
        assert_eq!(attachments.get_or_init::<String>(|| unreachable!()), "secret");
        assert_eq!(format!("{attachments:?}"), "Attachments { .. }");
    }

    #[test]
    fn threads_that_attach_at_the_same_time_get_the_same_value() {
        for _ in 0..200 {
            let attachments = Attachments::default();
            let seen = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4_u64)
                    .map(|n| {
                        let attachments = &attachments;
                        scope.spawn(move || match n % 2 {
                            0 => *attachments.get_or_init(|| n),
                            _ => u64::from(*attachments.get_or_init(|| u32::try_from(n).unwrap())),
                        })
                    })
                    .collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
            });
            assert!(seen[0] == seen[2] && seen[1] == seen[3], "{seen:?}");
        }
    }
}
