-- Reads a session's shared state. With `take` it also takes the lease, if the lease is free.
-- KEYS: token, refusal, lease.
-- ARGV: `take` or `look`, the id of the new lease, the lifetime of a lease in milliseconds, the longest lifetimes of a
-- token and of a refusal in milliseconds.
-- Returns: token, its milliseconds left, refusal, its milliseconds left, the lease's holder (`none`, `ours` or `other`),
-- its milliseconds left, the number of foreign values.
local token, token_left = redis.pcall('GET', KEYS[1]), redis.call('PTTL', KEYS[1])
if is_foreign_text(token, token_left, tonumber(ARGV[4])) then
  redis.call('DEL', KEYS[1])
  token, token_left = false, 0
end
local refusal, refusal_left = redis.pcall('GET', KEYS[2]), redis.call('PTTL', KEYS[2])
if is_foreign_text(refusal, refusal_left, tonumber(ARGV[5])) then
  redis.call('DEL', KEYS[2])
  refusal, refusal_left = false, 0
end
-- A lease without an expiry, or with a longer lifetime than a script gives, is foreign: no replica waits for it.
local lease, lease_left = redis.pcall('GET', KEYS[3]), redis.call('PTTL', KEYS[3])
if is_foreign_text(lease, lease_left, tonumber(ARGV[3])) then
  redis.call('DEL', KEYS[3])
  lease, lease_left = false, 0
end
local holder = 'none'
if lease and ARGV[1] == 'take' and lease == ARGV[2] then
  -- The same call again: the connection was lost before its answer, and a cluster's client has sent it once more.
  holder = 'ours'
elseif lease then
  holder = 'other'
elseif ARGV[1] == 'take' then
  redis.call('SET', KEYS[3], ARGV[2], 'PX', ARGV[3])
  holder = 'ours'
end
return {token, token_left, refusal, refusal_left, holder, lease_left, foreign}
