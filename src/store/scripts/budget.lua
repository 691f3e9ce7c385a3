-- The one budget of all replicas: the token bucket of `vend::budget`, by this server's clock.
-- KEYS: the bucket, the replicas that wait for it.
-- ARGV: what to do (reserve, spare, cut), for how many calls, the asker's id; then the terms: calls a second,
-- burst, the same two for refreshing ahead, the part a cut leaves, the least part of the rate, the part regained a
-- second, seconds between cuts.
-- Returns: whether it was done, microseconds until it may be used, thousandths of calls a second, replicas waiting.
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1e6
local action, calls, asker = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local full, burst = tonumber(ARGV[4]), tonumber(ARGV[5])
local spare_full, spare_burst = tonumber(ARGV[6]), tonumber(ARGV[7])
local kept, least, regain, pause = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])

local held = redis.call('HMGET', KEYS[1], 'level', 'rate', 'spare', 'at', 'cut')
local level, rate = tonumber(held[1]) or burst, tonumber(held[2]) or full
local spare, at, cut = tonumber(held[3]) or spare_burst, tonumber(held[4]) or now, tonumber(held[5]) or 0
-- A clock that was set back stands still for a moment; one that was set ahead fills the bucket once.
local secs = math.max(0, now - at)
level = math.min(burst, level + rate * secs)
spare = math.min(spare_burst, spare + spare_full * (rate / full) * secs)
rate = math.min(full, rate + full * regain * secs)

local done, wait = 1, 0
if action == 'reserve' then
  -- Who reserves what is not there yet is told when it will be. Each replica has one reservation at a time, so they
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
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - 1)
redis.call('EXPIRE', KEYS[2], 60)
return {done, math.ceil(wait * 1e6), math.floor(rate * 1000), redis.call('ZCARD', KEYS[2])}
