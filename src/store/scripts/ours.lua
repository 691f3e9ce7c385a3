-- In front of every script that reads: tells what a script of ours wrote from what somebody else did. What is not ours
-- is dropped and counted, and never ends a script: an error would take the connection down, at each call again.
local foreign = 0

-- A command's reply; nothing if the key holds another type, and then the key is dropped.
local function typed(key, reply)
  if type(reply) ~= 'table' or not reply.err then
    return reply
  end
  if not string.find(reply.err, 'WRONGTYPE', 1, true) then
    error(reply.err)
  end
  redis.call('DEL', key)
  foreign = foreign + 1
  return false
end

-- A text and its milliseconds left. Ours end, within `longest` milliseconds, and are a few kilobytes.
local function text(key, longest)
  local value = typed(key, redis.pcall('GET', key))
  if not value then
    return false, 0
  end
  local left = redis.call('PTTL', key)
  if left < 0 or left > longest or #value > 1048576 then
    redis.call('DEL', key)
    foreign = foreign + 1
    return false, 0
  end
  return value, left
end

-- A number of a hash's field; nothing if there is none, or something else than a number within the bounds. NaN is
-- within no bounds.
local function number(field, least, most)
  local value = tonumber(field)
  if value and value >= least and value <= most then
    return value
  end
  if field then
    foreign = foreign + 1
  end
end
