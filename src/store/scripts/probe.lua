-- Whether scripts run and can write.
-- KEYS: a name of its own.
return redis.call('SET', KEYS[1], '1', 'PX', 1000)
