-- The shared budget: the token bucket of `vend::budget`, by this server's clock.
-- KEYS: the bucket, the replicas that wait for it.
-- ARGV: the action (`reserve`, `refresh` or `cut`), the number of calls, the replica's id; then the terms: calls per
-- second, burst, the same two for refreshes, the factor of a cut, the lowest fraction of the rate, the fraction restored
-- per second, the seconds between cuts, the most waiting replicas, the most calls reserved ahead.
-- Returns: whether the action was done, microseconds until the calls may be made, thousandths of calls per second, the
-- number of waiting replicas, the number of foreign values.
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1e6
local action, calls, replica = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local full, burst = tonumber(ARGV[4]), tonumber(ARGV[5])
local refresh_full, refresh_burst = tonumber(ARGV[6]), tonumber(ARGV[7])
local cut_factor, floor, recovery, cut_pause = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])
local max_replicas, max_reserved = tonumber(ARGV[12]), tonumber(ARGV[13])

-- No configuration reaches these bounds; what exceeds only the present configuration is reduced to it below.
local stored = redis.pcall('HMGET', KEYS[1], 'level', 'rate', 'refresh', 'at', 'cut')
if is_foreign(stored) then
  redis.call('DEL', KEYS[1])
  stored = {}
end
local level, rate = number(stored[1], -max_reserved, 1e9) or burst, number(stored[2], 1e-9, 1e9) or full
local refresh, at, cut = number(stored[3], 0, 1e9) or refresh_burst, number(stored[4], 0, 1e12) or now, number(stored[5], 0, 1e12) or 0
-- Foreign values say nothing about the calls so far: begin with an empty bucket at the configured rate.
if foreign > 0 then
  level, rate, refresh, at, cut = 0, full, 0, now, 0
end
-- After the clock is set back, no time passes for a moment; if it is set forward, the bucket fills once.
local secs = math.max(0, now - at)
rate = math.max(full * floor, math.min(full, rate))
level = math.min(burst, level + rate * secs)
refresh = math.min(refresh_burst, refresh + refresh_full * (rate / full) * secs)
rate = math.min(full, rate + full * recovery * secs)

-- A waiting replica has called within the last second; a time in the future is foreign.
if is_foreign(redis.pcall('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - 1)) then
  redis.call('DEL', KEYS[2])
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], now + 1, '+inf')

local done, wait = 1, 0
if action == 'reserve' then
  -- Calls that are not available yet are reserved ahead, and the wait says when they will be. Each replica has one
  -- reservation at a time, so replicas take turns.
  wait = math.max(0, (calls - level) / rate)
  -- No more replicas wait than are counted. What exceeds that was reserved by replicas that are gone.
  level = math.max(level - calls, -max_reserved)
  redis.call('ZADD', KEYS[2], now, replica)
elseif action == 'refresh' then
  if level >= (burst + 1) / 2 and refresh >= 1 then
    level, refresh = level - 1, refresh - 1
  else
    done = 0
  end
elseif action == 'cut' then
  level, refresh = math.min(level, 0), 0
  if math.abs(now - cut) >= cut_pause then
    rate, cut = math.max(rate * cut_factor, full * floor), now
  end
end
redis.call('HSET', KEYS[1], 'level', tostring(level), 'rate', tostring(rate), 'refresh', tostring(refresh))
redis.call('HSET', KEYS[1], 'at', string.format('%.6f', now), 'cut', string.format('%.6f', cut))
-- After this idle time the bucket is full.
redis.call('EXPIRE', KEYS[1], 3600)
redis.call('EXPIRE', KEYS[2], 60)
local waiting = math.min(redis.call('ZCARD', KEYS[2]), max_replicas)
return {done, math.ceil(wait * 1e6), math.floor(rate * 1000), waiting, foreign}
