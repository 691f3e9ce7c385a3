-- Prolongs a lease, if it is still the asker's.
-- KEYS: lease. ARGV: the asker's id, milliseconds.
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 0
