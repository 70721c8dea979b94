local function now_of_server()
  local time = redis.call('TIME')
  return time[1] * 1000 + time[2] / 1000
end

-- Lists a session in its principal's index: a sorted set of the sessions' keys, each scored by when it
-- ends (Unix ms by this server's clock, as its time to live is). The session has `ttl` ms to live.
-- Gives nothing, or the error of a user without the right to PEXPIRE: then the index is as it was, or
-- is none.
--
-- A script calls it before its other writes: what Redis refuses as a whole, such as the ZADD when
-- memory is short, it refuses before anything was written.
local function list_session(index, session, ttl)
  local now = now_of_server()
  -- Redis 6.2 lets its clock go on while a script runs, and the session must not outlive its entry.
  ttl = ttl + 10
  local left = redis.call('PTTL', index)
  redis.call('ZADD', index, 'GT', ('%.3f'):format(now + ttl), session)
  if left < ttl then
    local expiry = redis.pcall('PEXPIRE', index, ttl)
    if type(expiry) == 'table' then
      if left == -2 then redis.call('UNLINK', index) end
      return expiry
    end
  end
  local over = redis.call('ZRANGE', index, '-inf', ('%.3f'):format(now), 'BYSCORE', 'LIMIT', 0, 100)
  if #over > 0 then redis.call('ZREM', index, unpack(over)) end
end

-- What makes an entry end with its session. Scripts call these after their writes, when nothing may fail
-- any more: whatever stands in the way, such as an index that is none, the entry only ends later.
local function unlist_sessions(index, sessions)
  redis.pcall('ZREM', index, unpack(sessions))
end
-- The session, which is frozen by now, has at most `ttl` ms to live.
local function shorten_entry(index, session, ttl)
  redis.pcall('ZADD', index, 'XX', ('%.3f'):format(now_of_server() + ttl + 10), session)
end
