-- Prolongs a lease, if it is still the asker's.
-- KEYS: lease. ARGV: the asker's id, milliseconds. Returns: values that were not ours.
if typed(KEYS[1], redis.pcall('GET', KEYS[1])) == ARGV[1] then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return foreign
