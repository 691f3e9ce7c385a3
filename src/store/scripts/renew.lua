-- Renews a lease, if the caller still holds it.
-- KEYS: lease. ARGV: the lease's id, its lifetime in milliseconds. Returns: the number of foreign values.
local lease = redis.pcall('GET', KEYS[1])
if is_foreign(lease) then
  redis.call('DEL', KEYS[1])
elseif lease == ARGV[1] then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return foreign
