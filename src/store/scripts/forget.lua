-- Deletes a session's token and refusal. A call to STS that is in flight continues.
-- KEYS: token, refusal.
-- Returns: the number of deleted keys.
return redis.call('DEL', KEYS[1], KEYS[2])
