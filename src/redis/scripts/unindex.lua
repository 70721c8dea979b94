-- What makes an entry of an index (index.lua) end with its session. Scripts call these after their
-- writes, when nothing may fail any more: whatever stands in the way, such as an index that is none, the
-- entry only ends later.
local function unlist_sessions(index, sessions)
  redis.pcall('ZREM', index, unpack(sessions))
end
-- The session, which is frozen by now, has at most `ttl` ms to live.
local function shorten_entry(index, session, ttl)
  local time = redis.call('TIME')
  local now = time[1] * 1000 + time[2] / 1000
  redis.pcall('ZADD', index, 'XX', ('%.3f'):format(now + ttl + 10), session)
end
