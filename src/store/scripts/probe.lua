-- Succeeds if scripts can run and write.
-- KEYS: a key that only this script uses.
return redis.call('SET', KEYS[1], '1', 'PX', 1000)
