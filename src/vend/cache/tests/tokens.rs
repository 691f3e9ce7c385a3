//! The tokens with their timers, by one thread.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::vend::cache::KeyHashing;
use crate::vend::cache::token::tests::{a_token, now};
use crate::vend::cache::tokens::Tokens;

#[tokio::test(start_paused = true)]
async fn a_stream_of_keys_used_twice_leaves_no_more_timers_than_tokens() {
    let (tokens, hashing) = (Tokens::new(1000), KeyHashing::default());
    for n in 0..200_000_u64 {
        let token = tokens.insert(a_token(&hashing, &format!("device-{n}")), now());
        tokens.schedule_refresh(&token, Instant::now() + Duration::from_secs(n % 40_000));
        if n % 1000 == 0 {
            assert!(tokens.refresh_schedule().len() <= tokens.len() && tokens.len() <= 1000, "{n}");
        }
    }
    assert!(tokens.refresh_schedule().len() > 900, "{}", tokens.refresh_schedule().len());
}

#[tokio::test(start_paused = true)]
async fn a_removed_replaced_or_missing_token_has_no_timer() {
    let (tokens, hashing) = (Tokens::new(10), KeyHashing::default());
    let a_token = |name| a_token(&hashing, name);
    let kept = ["retained", "swept", "replaced"].map(|name| {
        let token = tokens.insert(a_token(name), now());
        tokens.schedule_refresh(&token, Instant::now());
        token
    });
    assert_eq!(tokens.refresh_schedule().len(), 3);
    let removed = tokens.remove_unless(|key| key.session().name.as_str() != "swept");
    assert_eq!((removed.len(), tokens.refresh_schedule().len()), (1, 2));
    assert!(!tokens.refresh_schedule().contains(kept[1].key()));
    tokio::time::advance(Duration::from_secs(1)).await;
    tokens.insert(a_token("replaced"), now());
    assert_eq!(tokens.refresh_schedule().len(), 1, "the next one has not been used");
    tokens.schedule_refresh(&a_token("never-kept"), Instant::now());
    assert_eq!(tokens.refresh_schedule().len(), 1);
    assert!(Arc::ptr_eq(&tokens.refresh_schedule().next().await, kept[0].key()));
    assert_eq!(tokens.refresh_schedule().len(), 0);
}
