-- Adds to one counter.
-- Follows index.lua and limits.lua.
-- KEYS: the session; its principal's index, if there is one. ARGV: time to live and now in ms, the
-- most attributes, the counter's name, the name of its deadline, the step.
-- Gives {status, the new value as text}: a Lua number loses integers beyond 2^53.
local call, key, ttl, now = redis.call, KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local attributes_max, name, deadline_name, step = tonumber(ARGV[3]), ARGV[4], ARGV[5], ARGV[6]
if not ttl or ttl < 1 or ttl > 34560000000 or not now or not attributes_max then
  error('bad argument')
end
local head = redis.pcall('HMGET', key, '@created', deadline_name, name)
if head.err then return head.err:find('WRONGTYPE', 1, true) and {'gone'} or head end  -- a mark
if not head[1] then return {'gone'} end

if not head[3] and attributes_max > 0 and call('HLEN', key) >= attributes_max then
  local function stays() return false end
  if outgrows(call('HGETALL', key), stays, {name, step}, 1, 0, attributes_max) then
    return {'too_large'}
  end
end

local left = call('PTTL', key)
if KEYS[2] then
  local failed = list_session(KEYS[2], key, math.max(left, ttl))
  if failed then return failed end
end
-- A deadline without its attribute is forgotten, as one that has passed.
-- The first write to the session is one that Redis refuses as a whole: when the counter holds
-- something else, when it would overflow, or (if it was not the index) when memory is short. After
-- it nothing can fail.
local deadline = head[2]
if deadline and (not head[3] or (tonumber(deadline) or 0) <= now) then
  call('HSET', key, name, step)
  call('HDEL', key, deadline_name)
else
  local added = redis.pcall('HINCRBY', key, name, step)
  if type(added) == 'table' then
    if added.err:find('not an integer', 1, true) then return {'not_integer'} end
    if added.err:find('overflow', 1, true) then return {'overflow'} end
    return added
  end
end
if left < ttl then call('PEXPIRE', key, ARGV[1]) end
return {'applied', call('HGET', key, name)}
