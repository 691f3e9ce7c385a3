-- Reads a session's shared state. With `take` it also takes the lease, if the lease is free.
-- KEYS: token, refusal, lease.
-- ARGV: `take` or `look`, the id of the new lease, the lifetime of a lease in milliseconds, the longest lifetimes of a
-- token and of a refusal in milliseconds.
-- Returns: token, its milliseconds left, refusal, its milliseconds left, the lease's holder (`none`, `ours` or `other`),
-- its milliseconds left, the number of foreign values.
local token, token_left = text(KEYS[1], tonumber(ARGV[4]))
local refusal, refusal_left = text(KEYS[2], tonumber(ARGV[5]))
-- A lease without an expiry, or with a longer lifetime than a script gives, is foreign: no replica waits for it.
local lease, lease_left = text(KEYS[3], tonumber(ARGV[3]))
local holder = 'none'
if lease then
  holder = 'other'
elseif ARGV[1] == 'take' then
  redis.call('SET', KEYS[3], ARGV[2], 'PX', ARGV[3])
  holder = 'ours'
end
return {token, token_left, refusal, refusal_left, holder, lease_left, foreign}
