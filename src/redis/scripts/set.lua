-- Sets and removes attributes, or only renews: the most common change, as cheap as it can be.
-- KEYS[1]: the session. ARGV: time to live in ms, number of names to remove, the names, then names
-- and texts of the fields to set. A name is not in both.
-- Gives 1, or 0 when there is no such session or it is frozen.
local call, key, ttl, last = redis.call, KEYS[1], tonumber(ARGV[1]), ARGV[2] + 2
if not ttl or ttl < 1 or ttl > 34560000000 then error('bad time to live') end
local head = call('HMGET', key, '@created', '@frozen', unpack(ARGV, 3, last))
if not head[1] or head[2] then return 0 end

-- From here on nothing can fail. HSET comes first: if memory is short it is refused as a whole.
-- @created always stays, so the hash is never empty between the steps.
if #ARGV > last then call('HSET', key, unpack(ARGV, last + 1)) end
for i = 3, last do
  if head[i] then call('HDEL', key, ARGV[i]) end
end
if call('PTTL', key) < ttl then call('PEXPIRE', key, ARGV[1]) end
return 1
