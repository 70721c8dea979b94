-- Stores a new session.
-- Follows index.lua.
-- KEYS: the session; its principal's index, if there is one. ARGV: time to live in ms, then names and
-- texts of the fields.
-- Gives 1, or 0 when the key is taken, or 2 when it was barred (bar.lua).
if redis.call('EXISTS', KEYS[1]) == 1 then
  return index_is_apart and is_barred(KEYS[1]) and 2 or 0
end

local ttl = tonumber(ARGV[1])
if not ttl or ttl < 1 or ttl > 34560000000 then error('bad time to live') end

-- The index and HSET come first: if memory is short, the first of them is refused as a whole. (After
-- any write of a script Redis no longer checks.)
if KEYS[2] then
  local failed = list_session(KEYS[2], KEYS[1], ttl)
  if failed then return failed end
end
for i = 2, #ARGV, 2000 do
  redis.call('HSET', KEYS[1], unpack(ARGV, i, math.min(i + 1999, #ARGV)))
end
-- A user without the right to PEXPIRE must not leave a session without an expiry behind.
local expiry = redis.pcall('PEXPIRE', KEYS[1], ttl)
if type(expiry) == 'table' then
  redis.call('UNLINK', KEYS[1])
  return expiry
end
return 1
