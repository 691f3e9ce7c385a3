-- The one budget of all replicas: the token bucket of `vend::budget`, by this server's clock.
-- KEYS: the bucket, the replicas that wait for it.
-- ARGV: what to do (reserve, spare, cut), for how many calls, the asker's id; then the terms: calls a second,
-- burst, the same two for refreshing ahead, the part a cut leaves, the least part of the rate, the part regained a
-- second, seconds between cuts, replicas at most, calls that are reserved ahead at most.
-- Returns: whether it was done, microseconds until it may be used, thousandths of calls a second, replicas waiting,
-- values that were not ours.
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1e6
local action, calls, asker = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local full, burst = tonumber(ARGV[4]), tonumber(ARGV[5])
local spare_full, spare_burst = tonumber(ARGV[6]), tonumber(ARGV[7])
local kept, least, regain, pause = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])
local most_replicas, ahead = tonumber(ARGV[12]), tonumber(ARGV[13])

-- Upper bounds that no configuration reaches; what is only more than this one's is cut down to it below.
local held = typed(KEYS[1], redis.pcall('HMGET', KEYS[1], 'level', 'rate', 'spare', 'at', 'cut')) or {}
local level, rate = number(held[1], -ahead, 1e9) or burst, number(held[2], 1e-9, 1e9) or full
local spare, at, cut = number(held[3], 0, 1e9) or spare_burst, number(held[4], 0, 1e12) or now, number(held[5], 0, 1e12) or 0
-- What somebody else wrote tells nothing of what was spent: an empty bucket at the configured rate.
if foreign > 0 then
  level, rate, spare, at, cut = 0, full, 0, now, 0
end
-- A clock that was set back stands still for a moment; one that was set ahead fills the bucket once.
local secs = math.max(0, now - at)
rate = math.max(full * least, math.min(full, rate))
level = math.min(burst, level + rate * secs)
spare = math.min(spare_burst, spare + spare_full * (rate / full) * secs)
rate = math.min(full, rate + full * regain * secs)

-- Who waits has said so within the last second; a time to come is nobody's.
typed(KEYS[2], redis.pcall('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - 1))
redis.call('ZREMRANGEBYSCORE', KEYS[2], now + 1, '+inf')

local done, wait = 1, 0
if action == 'reserve' then
  -- A reservation of calls that are not there yet is answered with the time when they will be. Each replica has one reservation at a time, so they
  -- take turns.
  wait = math.max(0, (calls - level) / rate)
  level = level - calls
  redis.call('ZADD', KEYS[2], now, asker)
elseif action == 'spare' then
  if level >= (burst + 1) / 2 and spare >= 1 then
    level, spare = level - 1, spare - 1
  else
    done = 0
  end
elseif action == 'cut' then
  level, spare = math.min(level, 0), 0
  if math.abs(now - cut) >= pause then
    rate, cut = math.max(rate * kept, full * least), now
  end
end
redis.call('HSET', KEYS[1], 'level', tostring(level), 'rate', tostring(rate), 'spare', tostring(spare))
redis.call('HSET', KEYS[1], 'at', string.format('%.6f', now), 'cut', string.format('%.6f', cut))
-- Idle for so long it is full again whatever it was.
redis.call('EXPIRE', KEYS[1], 3600)
redis.call('EXPIRE', KEYS[2], 60)
local waiting = math.min(redis.call('ZCARD', KEYS[2]), most_replicas)
return {done, math.ceil(wait * 1e6), math.floor(rate * 1000), waiting, foreign}
