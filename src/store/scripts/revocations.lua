-- The revocations that replicas share: values by their ids, each with the time at which it ends.
-- KEYS: a hash of the values and of the list's `version`, a sorted set of the times, a sorted set of the replicas that read.
-- The set of times has a member `version`, too, so that a set that is lost is noticed. A list without a version is not
-- complete: replicas put back what they know. Versions grow, so that a list that was restored from an older state is noticed.
-- ARGV: `read`, `put`, `remove`, `distrust`, `settle` or `readers`; then for `read`: the known version, the number of values to
-- skip, the most to return, the reader as it describes itself and as it did before, both empty for none; for `put`: id, value,
-- its lifetime in milliseconds, whether it replaces another, the most values; for `remove`: id; for `distrust`: a version; for
-- `settle`: the newest version that the replica knows; for `readers`: the most to return.
-- Returns: the version, whether it was done or the version is the known one, the number of ids that were read, ids, values and
-- milliseconds until their ends in turn or the readers of the last seconds, the number of foreign values.
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local action = ARGV[1]
local stored = redis.pcall('HMGET', KEYS[1], 'version')
if is_foreign(stored) then
  redis.call('DEL', KEYS[1])
  stored = {}
end
local kept = redis.pcall('ZCARD', KEYS[2])
if is_foreign(kept) then
  redis.call('DEL', KEYS[2])
  kept = 0
end
local version = stored[1] or ''
if version ~= '' and (kept == 0 or foreign > 0) then
  redis.call('HDEL', KEYS[1], 'version')
  version = ''
end
-- No revocation lives longer than 366 days.
local longest = 31708800000
-- A replica reads twice a second. One that has not read for this long, in milliseconds, is gone.
local reader_life = 3000

-- A version is later than the one before, and than `least`.
local function change(least)
  local before = math.max(tonumber(version) or 0, tonumber(least) or 0)
  version = string.format('%.0f', math.max(before + 1, now))
  redis.call('HSET', KEYS[1], 'version', version)
  redis.call('ZADD', KEYS[2], 9e15, 'version')
end

-- Removes what has ended, up to a thousand. The list is read in parts, so nothing is removed without a change of its version.
local ended = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 1000)
if action == 'put' or action == 'remove' or #ended == 1000 then
  for _, id in ipairs(ended) do
    redis.call('ZREM', KEYS[2], id)
    redis.call('HDEL', KEYS[1], id)
  end
  kept = kept - #ended
  if version ~= '' and #ended > 0 then
    change()
  end
end

if (action == 'read' and ARGV[5] ~= '') or action == 'readers' then
  if is_foreign(redis.pcall('ZREMRANGEBYSCORE', KEYS[3], '-inf', now - reader_life)) then
    redis.call('DEL', KEYS[3])
  end
end
if action == 'read' and ARGV[5] ~= '' then
  if ARGV[6] ~= '' and ARGV[6] ~= ARGV[5] then
    redis.call('ZREM', KEYS[3], ARGV[6])
  end
  redis.call('ZADD', KEYS[3], now, ARGV[5])
  redis.call('PEXPIRE', KEYS[3], reader_life)
end

local done, read, values = 0, 0, {}
if action == 'readers' then
  values = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', 9e14, 'LIMIT', 0, tonumber(ARGV[2]))
  return {version, 1, #values, values, foreign}
elseif action == 'read' then
  if version ~= '' and version == ARGV[2] then
    return {version, 1, 0, {}, foreign}
  end
  local ids = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', 9e14, 'WITHSCORES', 'LIMIT', tonumber(ARGV[3]), tonumber(ARGV[4]))
  read = #ids / 2
  for i = 1, #ids, 2 do
    local value = redis.call('HMGET', KEYS[1], ids[i])[1]
    if value and #value <= 4096 then
      values[#values + 1] = ids[i]
      values[#values + 1] = value
      values[#values + 1] = string.format('%.0f', math.max(tonumber(ids[i + 1]) - now, 0))
    end
  end
elseif action == 'put' then
  local old = redis.call('HMGET', KEYS[1], ARGV[2])[1]
  if old and ARGV[5] == '0' then
    done = 1
    -- Its time may be lost alone.
    redis.call('ZADD', KEYS[2], 'NX', now + math.min(tonumber(ARGV[4]), longest), ARGV[2])
  elseif old or kept <= tonumber(ARGV[6]) then
    done = 1
    redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
    redis.call('ZADD', KEYS[2], now + math.min(tonumber(ARGV[4]), longest), ARGV[2])
    if version ~= '' then
      change()
    end
  end
elseif action == 'remove' then
  if redis.call('HMGET', KEYS[1], ARGV[2])[1] then
    done = 1
    redis.call('ZREM', KEYS[2], ARGV[2])
    redis.call('HDEL', KEYS[1], ARGV[2])
    if version ~= '' then
      change()
    end
  end
elseif action == 'distrust' then
  if version == ARGV[2] then
    redis.call('HDEL', KEYS[1], 'version')
    version = ''
  end
elseif action == 'settle' then
  if version == '' then
    change(ARGV[2])
  end
  done = 1
end
if action ~= 'read' then
  redis.call('PEXPIRE', KEYS[1], longest)
  redis.call('PEXPIRE', KEYS[2], longest)
end
return {version, done, read, values, foreign}
