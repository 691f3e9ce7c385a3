-- What is known of a session; and if nobody holds its lease and one is asked for, the lease.
-- KEYS: token, refusal, lease. ARGV: the asker's id, the lease's milliseconds (0: only look).
-- Returns: token, its milliseconds left, refusal, its milliseconds left, whose the lease is, its milliseconds left.
local function held(key)
  local value = redis.call('GET', key)
  if not value then
    return false, 0
  end
  return value, redis.call('PTTL', key)
end
local token, token_left = held(KEYS[1])
local refusal, refusal_left = held(KEYS[2])
local holder, lease_left = held(KEYS[3])
-- A lease that does not end is none of ours: nobody waits for it.
if lease_left < 0 then
  holder = false
end
local whose = 'nobody'
if holder == ARGV[1] then
  whose = 'ours'
elseif holder then
  whose = 'theirs'
elseif tonumber(ARGV[2]) > 0 then
  redis.call('SET', KEYS[3], ARGV[1], 'PX', ARGV[2])
  whose = 'ours'
end
return {token, token_left, refusal, refusal_left, whose, lease_left}
