-- Prepended to every script that reads. A value that no script of AppServer can have written is foreign: it is deleted
-- and counted. It never fails the script, because an error would close the connection, at each call again.
local foreign = 0

-- Returns a command's reply; false if the key has another type, and then deletes the key.
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

-- Returns a string and its milliseconds left. Every string of AppServer expires, within `longest` milliseconds, and has
-- a few kilobytes.
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

-- Returns the number in a hash's field; nil if the field is missing or no number within the bounds. NaN is within no
-- bounds.
local function number(field, least, most)
  local value = tonumber(field)
  if value and value >= least and value <= most then
    return value
  end
  if field then
    foreign = foreign + 1
  end
end
