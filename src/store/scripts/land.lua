-- Ends a flight: keeps what it brought, if anything, and gives the lease back if it is still the asker's.
-- KEYS: token, refusal, lease. ARGV: the asker's id, 'token' or 'refusal' or 'nothing', the value, its milliseconds.
-- Returns: values that were not ours.
if ARGV[2] == 'token' then
  redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
  redis.call('DEL', KEYS[2])
elseif ARGV[2] == 'refusal' then
  redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])
end
if typed(KEYS[3], redis.pcall('GET', KEYS[3])) == ARGV[1] then
  redis.call('DEL', KEYS[3])
end
return foreign
