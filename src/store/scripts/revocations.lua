-- The revocations that replicas share: encrypted values by their ids, each with the time until which it is kept. Nothing here
-- judges a value. Replicas and commands join what they read with what they know, and replace a value only as they have read it.
-- KEYS: a hash of the values and of the list's `version`, a sorted set of the times, a sorted set of the replicas that read.
-- A version is a random text, and each change has another one: equal versions are equal lists, also after Redis was restored
-- from an older state or has lost its data and got it back. A list of which either key is lost has none.
-- ARGV: `read`, `get`, `replace` or `readers`; then for `read`: the known version, the number of values to skip, the most to
-- return, the reader as it describes itself and as it did before, both empty for none; for `get`: id; for `replace`: id, the value that is replaced (empty: none), the new value (empty: it is removed), its lifetime in
-- milliseconds, the most values, the new version; for `readers`: the most to return.
-- Returns: the version, the result (`read`: 1 if the version is the known one; `replace`: 0 if another
-- value is there, 1 if it was done, 2 without space), the number of ids that were read, the values (`read`: ids, values and
-- milliseconds left in turn; `get` and a `replace` that was not done: the one that is there; `readers`: the replicas of the
-- last seconds), the number of foreign values.
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
if kept == 0 or foreign > 0 or #version > 64 then
  version = ''
end
-- No revocation lives longer than 366 days.
local longest = 31708800000
-- A replica reads twice a second. One that has not read for this long, in milliseconds, is gone.
local reader_life = 3000

local function change(new)
  version = new
  redis.call('HSET', KEYS[1], 'version', version)
end

-- No value of AppServer is longer. A longer one is as good as none.
local function value_of(id)
  local value = redis.call('HMGET', KEYS[1], id)[1]
  return value and #value <= 4096 and value or ''
end

if (action == 'read' and ARGV[5] ~= '') or action == 'readers' then
  -- A time in the future is foreign, or the clock was set back: then its replica is here again at its next look.
  if is_foreign(redis.pcall('ZREMRANGEBYSCORE', KEYS[3], '-inf', now - reader_life)) then
    redis.call('DEL', KEYS[3])
  end
  redis.call('ZREMRANGEBYSCORE', KEYS[3], now + 1, '+inf')
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
  -- The latest ones. No replica describes itself at such length as what is left out.
  local most = tonumber(ARGV[2])
  local before = math.max(redis.call('ZCARD', KEYS[3]) - most, 0)
  local marks = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', '+inf', 'LIMIT', before, most)
  for _, mark in ipairs(marks) do
    if #mark <= 16384 then
      values[#values + 1] = mark
    end
  end
elseif action == 'read' and version ~= '' and version == ARGV[2] then
  done = 1
elseif action == 'read' then
  -- Also those that have ended by the clock of Redis, or by that of the command which wrote them: these may be wrong. Readers
  -- know the end. So time moves no value from one part of the list to another, either.
  local ids = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', '+inf', 'WITHSCORES', 'LIMIT', tonumber(ARGV[3]), tonumber(ARGV[4]))
  read = #ids / 2
  for i = 1, #ids, 2 do
    local value = value_of(ids[i])
    if value ~= '' then
      values[#values + 1] = ids[i]
      values[#values + 1] = value
      values[#values + 1] = string.format('%.0f', math.min(math.max(tonumber(ids[i + 1]) - now, 0), longest))
    end
  end
elseif action == 'get' then
  values = {value_of(ARGV[2])}
elseif action == 'replace' then
  local old, keep_until = value_of(ARGV[2]), now + math.min(tonumber(ARGV[5]), longest)
  if old ~= ARGV[3] then
    values = {old}
    -- Its time may be lost alone.
    if old ~= '' and redis.call('ZADD', KEYS[2], 'NX', keep_until, ARGV[2]) == 1 then
      change(ARGV[7])
    end
  else
    -- What has ended makes space. That moves the others for those who read the list in parts, so it is a change, too.
    local ended = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 1000)
    for _, id in ipairs(ended) do
      redis.call('ZREM', KEYS[2], id)
      if id ~= ARGV[2] then
        redis.call('HDEL', KEYS[1], id)
      end
    end
    if ARGV[4] == '' then
      done = 1
      redis.call('HDEL', KEYS[1], ARGV[2])
      redis.call('ZREM', KEYS[2], ARGV[2])
    elseif old ~= '' or kept - #ended < tonumber(ARGV[6]) then
      done = 1
      redis.call('HSET', KEYS[1], ARGV[2], ARGV[4])
      redis.call('ZADD', KEYS[2], keep_until, ARGV[2])
    else
      done = 2
    end
    if done == 1 or #ended > 0 then
      change(ARGV[7])
    end
  end
  redis.call('PEXPIRE', KEYS[1], longest)
  redis.call('PEXPIRE', KEYS[2], longest)
end
return {version, done, read, values, foreign}
