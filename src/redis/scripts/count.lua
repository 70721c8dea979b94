-- Adds to one counter.
-- Follows timed.lua, index.lua and limits.lua.
-- KEYS: the session; its principal's index, if there is one. ARGV: time to live in ms, how much of it may be
-- left for a renewal to be due, now in ms, the most attributes, the counter's name, the step.
-- Gives {status, the new value as text}: a Lua number loses integers beyond 2^53.
local call, key, ttl, renew_at = redis.call, KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local now, attributes_max = tonumber(ARGV[3]), tonumber(ARGV[4])
local name, step = ARGV[5], ARGV[6]
if not ttl or ttl < 1 or ttl > 34560000000 or not renew_at or not now or not attributes_max then
  error('bad argument')
end
local head = redis.pcall('HMGET', key, '@created', deadline_of(name), name)
if head.err then return head.err:find('WRONGTYPE', 1, true) and {'gone'} or head end  -- a mark
if not head[1] then return {'gone'} end

local text, ends = live_of(head[3], head[2], now)
if not text and attributes_max > 0 and call('HLEN', key) >= attributes_max then
  local function stays() return false end
  if outgrows(call('HGETALL', key), stays, {name, step}, 1, 0, attributes_max, now, 0) then
    return {'too_large'}
  end
end

local left = call('PTTL', key)
local renews = left <= renew_at
if KEYS[2] and renews then
  local failed = list_session(KEYS[2], key, ttl)
  if failed then return failed end
end
-- The first write to the session is one that Redis refuses as a whole: when the counter holds
-- something else, when it would overflow, or (if it was not the index) when memory is short. After
-- it nothing can fail.
local field, added = name, nil
if ends then
  added = add_timed(key, name, ends, text, step)
  field = deadline_of(name)
else
  added = redis.pcall('HINCRBY', key, name, step)
end
if type(added) == 'table' then
  if added.err:find('not an integer', 1, true) then return {'not_integer'} end
  if added.err:find('overflow', 1, true) then return {'overflow'} end
  return added
end
if not text and head[2] then call('HDEL', key, deadline_of(name)) end  -- it had ended
if renews then call('PEXPIRE', key, ARGV[1]) end
local value = call('HGET', key, field)
return {'applied', field == name and value or select(2, split_timed(value))}
