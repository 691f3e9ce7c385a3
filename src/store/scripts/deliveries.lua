-- Values that some replica must deliver, by their ids, each with the time at which it is due.
-- KEYS: a hash of the values, a sorted set of their times.
-- ARGV: `keep`, `add`, `take` or `done`; then for `keep`, which replaces a value, and `add`, which leaves one as it is: id, value,
-- milliseconds until it is due, the most values;
-- for `take`: the most values to take, milliseconds until a taken value is due again; for `done`: id.
-- Returns: 1 if it was done, 0 without space, 2 if the added value was there; the taken ids and values in turn, the number of values, the number of foreign values.
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local action = ARGV[1]
-- Keys of other types are deleted here; ids without a value are found below.
if is_foreign(redis.pcall('HMGET', KEYS[1], '')) then
  redis.call('DEL', KEYS[1])
end
local kept = redis.pcall('ZCARD', KEYS[2])
if is_foreign(kept) then
  redis.call('DEL', KEYS[2])
  kept = 0
end

local done, taken = 1, {}
if action == 'keep' or action == 'add' then
  local known = redis.call('HMGET', KEYS[1], ARGV[2])[1]
  if known and action == 'add' then
    done = 2
  elseif not known and kept >= tonumber(ARGV[5]) then
    done = 0
  else
    redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
    redis.call('ZADD', KEYS[2], now + tonumber(ARGV[4]), ARGV[2])
  end
elseif action == 'take' then
  local ids = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, tonumber(ARGV[2]))
  for _, id in ipairs(ids) do
    local value = redis.call('HMGET', KEYS[1], id)[1]
    if value and #value <= 1048576 then
      redis.call('ZADD', KEYS[2], now + tonumber(ARGV[3]), id)
      taken[#taken + 1] = id
      taken[#taken + 1] = value
    else
      redis.call('ZREM', KEYS[2], id)
      redis.call('HDEL', KEYS[1], id)
      foreign = foreign + 1
    end
  end
elseif action == 'done' then
  redis.call('ZREM', KEYS[2], ARGV[2])
  redis.call('HDEL', KEYS[1], ARGV[2])
end
-- Whoever stops all replicas for longer has given the values up.
redis.call('PEXPIRE', KEYS[1], 172800000)
redis.call('PEXPIRE', KEYS[2], 172800000)
return {done, taken, redis.call('ZCARD', KEYS[2]), foreign}
