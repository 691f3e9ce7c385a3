-- Succeeds if scripts can run and write. With two keys it also fails while a cluster is moving their slot, and so before
-- a script of the budget would.
-- KEYS: two keys that only this script uses.
redis.call('SET', KEYS[1], '1', 'PX', 1000)
return redis.call('DEL', KEYS[2])
