-- Takes from the token bucket of a client or a user, by this server's clock.
-- KEYS: the bucket. ARGV: requests a second, burst, how many are wanted.
-- Returns: how many were given, microseconds until there is another if none was, values that were not ours.
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1e6
local rate, burst, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local held = typed(KEYS[1], redis.pcall('HMGET', KEYS[1], 'level', 'at')) or {}
-- A level is not negative, but for what microseconds lose in rounding.
local level, at = number(held[1], -0.01, 1e9), number(held[2], 0, 1e12)
-- What somebody else wrote tells nothing of who asked: as if there were no key.
if foreign > 0 then
  level, at = nil, nil
end
level, at = level or burst, at or now
level = math.min(burst, level + rate * math.max(0, now - at))
-- What microseconds lose in rounding is no reason to refuse.
local given = math.max(0, math.min(wanted, math.floor(level + 1e-3)))
level = level - given
redis.call('HSET', KEYS[1], 'level', tostring(level), 'at', string.format('%.6f', now))
-- Idle for so long it is full again.
redis.call('EXPIRE', KEYS[1], math.ceil(burst / rate) + 1)
if given > 0 then
  return {given, 0, foreign}
end
return {0, math.ceil((1 - level) / rate * 1e6), foreign}
