-- What is known of a session; and if nobody holds its lease and one is asked for, the lease.
-- KEYS: token, refusal, lease. ARGV: `take` or `look`, the asker's id, the milliseconds of a lease; those of a token
-- and of a refusal at most.
-- Returns: token, its milliseconds left, refusal, its milliseconds left, whose the lease is, its milliseconds left,
-- values that were not ours.
local token, token_left = text(KEYS[1], tonumber(ARGV[4]))
local refusal, refusal_left = text(KEYS[2], tonumber(ARGV[5]))
-- A lease that does not end, or later than any of ours, is none: nobody waits for it.
local holder, lease_left = text(KEYS[3], tonumber(ARGV[3]))
local whose = 'nobody'
if holder then
  whose = 'theirs'
elseif ARGV[1] == 'take' then
  redis.call('SET', KEYS[3], ARGV[2], 'PX', ARGV[3])
  whose = 'ours'
end
return {token, token_left, refusal, refusal_left, whose, lease_left, foreign}
