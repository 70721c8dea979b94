-- Lists a session in its principal's index: a sorted set of the sessions' keys, each scored by when it
-- ends (Unix ms by this server's clock, as its time to live is). The session has `ttl` ms to live.
-- Gives nothing, or the error of a user without the right to PEXPIRE: then the index is as it was, or
-- is none.
--
-- A script calls it before its other writes: what Redis refuses as a whole, such as the ZADD when
-- memory is short, it refuses before anything was written.
local function list_session(index, session, ttl)
  local time = redis.call('TIME')
  local now = time[1] * 1000 + time[2] / 1000
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
