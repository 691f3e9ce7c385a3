-- Drops what is kept for a session. A flight that is under way goes on.
-- KEYS: token, refusal.
return redis.call('DEL', KEYS[1], KEYS[2])
