-- Prepended to every script that reads. A value that no script of AppServer can have written is foreign: its key is deleted
-- and it is counted. It never fails the script, because an error would close the connection, at each call again.
--
-- The scripts name each key as `KEYS[1]`, `KEYS[2]` and so on, never by a variable: the proxies of Alibaba's clusters refuse
-- anything else. So these functions get replies and not keys, and the scripts delete what is foreign.
local foreign = 0

-- Whether a command's reply says that its key has another type.
local function is_foreign(reply)
  if type(reply) ~= 'table' or not reply.err then
    return false
  end
  if not string.find(reply.err, 'WRONGTYPE', 1, true) then
    error(reply.err)
  end
  foreign = foreign + 1
  return true
end

-- Whether the reply to GET is no string of AppServer, by the reply to PTTL. Every string of AppServer expires, within
-- `longest` milliseconds, and has a few kilobytes.
local function is_foreign_text(value, left, longest)
  if is_foreign(value) then
    return true
  end
  if value and (left < 0 or left > longest or #value > 1048576) then
    foreign = foreign + 1
    return true
  end
  return false
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
