-- Renews a lease, if the caller still holds it.
-- KEYS: lease. ARGV: the lease's id, its lifetime in milliseconds. Returns: the number of foreign values.
if typed(KEYS[1], redis.pcall('GET', KEYS[1])) == ARGV[1] then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return foreign
