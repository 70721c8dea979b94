-- Sets and removes attributes, or only renews: the most common change, as cheap as it can be.
-- Follows timed.lua, index.lua and limits.lua.
-- KEYS: the session; its principal's index, if there is one. ARGV: time to live in ms, how much of it may be
-- left for a renewal to be due, now in ms, the most bytes and attributes, and the bytes that each is spared (limits.lua),
-- number of names to remove, the names, then names and texts of the fields to set. A name is not in both.
-- Gives 1; or 0 when there is no such session (any more); or 2 when it would grow too large.
local call, key, ttl, renew_at, last = redis.call, KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[7] + 7
local now, bytes_max, attributes_max = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local spare = tonumber(ARGV[6])
if not ttl or ttl < 1 or ttl > 34560000000 or not renew_at or not (now and bytes_max and attributes_max and spare) then
  error('bad argument')
end
local head = redis.pcall('HMGET', key, '@created', unpack(ARGV, 8, last))
if head.err then return head.err:find('WRONGTYPE', 1, true) and 0 or head end  -- a mark (mark.lua)
if not head[1] then return 0 end
local left, grows = call('PTTL', key), #ARGV > last
local renews = left <= renew_at
-- Most writes are small, and cost this one call.
local large = bytes_max > 0
  or attributes_max > 0 and grows and call('HLEN', key) + (#ARGV - last) / 2 > attributes_max
if grows and large then
  local removed = {}
  for i = 8, last do removed[ARGV[i]] = true end
  local function is_removed(name) return removed[name] end
  if outgrows(call('HGETALL', key), is_removed, ARGV, last + 1, bytes_max, attributes_max, now, spare) then
    return 2
  end
end

-- From here on nothing can fail. What may need memory comes first: it is refused as a whole. (After
-- any write of a script Redis no longer checks.) If nothing but the index may need it, the renewal
-- comes first, so that renewing goes on when memory is short.
-- @created always stays, so the hash is never empty between the steps.
if renews and not grows then call('PEXPIRE', key, ARGV[1]) end
if KEYS[2] and renews then
  local failed = list_session(KEYS[2], key, ttl)
  if failed then return failed end
end
if grows then call('HSET', key, unpack(ARGV, last + 1)) end
for i = 8, last do
  if head[i - 6] then call('HDEL', key, ARGV[i]) end
end
if renews and grows then call('PEXPIRE', key, ARGV[1]) end
return 1
