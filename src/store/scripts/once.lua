-- Something that is done once by all replicas, and its result.
-- KEYS: the record, which is `claim:` and the id of a claim, or `result:` and the result.
-- ARGV: `claim` or `complete`, the id of the claim, its lifetime in milliseconds, the longest lifetime, the result.
-- Returns: `first`, `claimed` or `result`; the result; the number of foreign values.
local record = redis.pcall('GET', KEYS[1])
if is_foreign_text(record, redis.call('PTTL', KEYS[1]), tonumber(ARGV[4])) then
  redis.call('DEL', KEYS[1])
  record = false
end
local claim = 'claim:' .. ARGV[2]
if ARGV[1] == 'complete' then
  -- A claim that is gone is not restored: its lifetime is over, or somebody else has removed it.
  if record == claim then
    redis.call('SET', KEYS[1], 'result:' .. ARGV[5], 'PX', redis.call('PTTL', KEYS[1]))
  end
  return {'claimed', false, foreign}
end
-- With the id again, the claim is the same one.
if record == claim then
  return {'first', false, foreign}
end
if not record then
  redis.call('SET', KEYS[1], claim, 'PX', ARGV[3])
  return {'first', false, foreign}
end
if string.sub(record, 1, 7) == 'result:' then
  return {'result', string.sub(record, 8), foreign}
end
return {'claimed', false, foreign}
