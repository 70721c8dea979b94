-- The index of a principal's sessions: a sorted set of their keys, each scored by when it ends (Unix ms by
-- this server's clock, as its time to live is). (What these say of a Cluster is in apart.lua.)
local index_is_apart, covered = false, math.huge

-- Puts an entry that ends `life` ms after `now`. Gives nothing, or the error of a user without the right
-- to PEXPIRE: then the index is as it was, or is none.
--
-- A script calls it before its other writes: what Redis refuses as a whole, such as the ZADD when
-- memory is short, it refuses before anything was written.
local function put_entry(index, entry, now, life)
  local left = redis.call('PTTL', index)
  redis.call('ZADD', index, 'GT', ('%.3f'):format(now + life), entry)
  if left < life then
    local expiry = redis.pcall('PEXPIRE', index, math.ceil(life))
    if type(expiry) == 'table' then
      if left == -2 then redis.call('UNLINK', index) end
      return expiry
    end
  end
  local over = redis.call('ZRANGE', index, '-inf', ('%.3f'):format(now), 'BYSCORE', 'LIMIT', 0, 100)
  if #over > 0 then redis.call('ZREM', index, unpack(over)) end
end

-- Lists a session that has `ttl` ms to live.
local function list_session(index, session, ttl)
  local time = redis.call('TIME')
  -- Redis 6.2 lets its clock go on while a script runs, and the session must not outlive its entry.
  return put_entry(index, session, time[1] * 1000 + time[2] / 1000, ttl + 10)
end
