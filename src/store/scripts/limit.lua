-- Takes requests from the token bucket of a client or a user, by this server's clock.
-- KEYS: the bucket. ARGV: requests per second, burst, number of requests.
-- Returns: the number granted, microseconds until the next request if none was granted, the number of foreign values.
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1e6
local rate, burst, requested = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local stored = redis.pcall('HMGET', KEYS[1], 'level', 'at')
if is_foreign(stored) then
  redis.call('DEL', KEYS[1])
  stored = {}
end
-- A level is not negative, except for the rounding to microseconds.
local level, at = number(stored[1], -0.01, 1e9), number(stored[2], 0, 1e12)
-- Foreign values say nothing about the requests so far: begin as if there were no key.
if foreign > 0 then
  level, at = nil, nil
end
level, at = level or burst, at or now
level = math.min(burst, level + rate * math.max(0, now - at))
-- The rounding to microseconds must not refuse a request.
local granted = math.max(0, math.min(requested, math.floor(level + 1e-3)))
level = level - granted
redis.call('HSET', KEYS[1], 'level', tostring(level), 'at', string.format('%.6f', now))
-- After this idle time the bucket is full.
redis.call('EXPIRE', KEYS[1], math.ceil(burst / rate) + 1)
if granted > 0 then
  return {granted, 0, foreign}
end
return {0, math.ceil((1 - level) / rate * 1e6), foreign}
