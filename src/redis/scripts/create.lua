-- Stores a new session.
-- KEYS[1] the session; ARGV: time to live in ms, then names and texts of the fields.
-- Gives 1, or 0 when the key is taken.
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end

local ttl = tonumber(ARGV[1])
if not ttl or ttl < 1 or ttl > 34560000000 then error('bad time to live') end

-- HSET comes first: if memory is short it is refused as a whole. (After any write of a script Redis
-- no longer checks.)
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
