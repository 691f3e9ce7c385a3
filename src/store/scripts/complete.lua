-- Stores the result of a call to STS, if there is one, and releases the lease if the caller still holds it.
-- KEYS: token, refusal, lease.
-- ARGV: the lease's id, the kind of result (`token`, `refusal` or `nothing`), its value, its lifetime in milliseconds.
-- Returns: the number of foreign values.
if ARGV[2] == 'token' then
  redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
  redis.call('DEL', KEYS[2])
elseif ARGV[2] == 'refusal' then
  redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])
end
local lease = redis.pcall('GET', KEYS[3])
if is_foreign(lease) or lease == ARGV[1] then
  redis.call('DEL', KEYS[3])
end
return foreign
