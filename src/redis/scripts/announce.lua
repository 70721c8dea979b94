-- Lists a session whose write comes next, on another server of a Cluster. Follows index.lua.
-- KEYS[1]: the index. ARGV: the session's key, what it will have to live in ms, how long the write may
-- take to happen in ms, by how much the clocks of two servers may differ in ms, and whether the write may
-- make the session ('1'): then a second entry, named like it with a '?', says so until it is over.
-- Gives the latest moment of the write, in Unix ms.
local ttl, window, skew = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
if not (ttl and window and skew) then error('bad argument') end
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
-- Where memory is short, nothing may be made, but what is there goes on: after any write of a script
-- Redis no longer checks.
if ARGV[5] ~= '1' then
  local left = redis.call('PTTL', KEYS[1])
  if left > 0 then
    redis.call('PEXPIRE', KEYS[1], math.ceil(math.max(left, window + ttl + skew)))
  else
    redis.call('ZREM', KEYS[1], '')
  end
end
local failed = put_entry(KEYS[1], ARGV[1], now, window + ttl + skew)
if failed then return failed end
if ARGV[5] == '1' then put_entry(KEYS[1], ARGV[1] .. '?', now, window + skew) end
return ('%.0f'):format(math.floor(now + window))
