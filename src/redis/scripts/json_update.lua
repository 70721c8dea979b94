-- Replaces the text of a session, if it still is what was read.
-- KEYS[1] the session, KEYS[2] its mark. ARGV: the text that was read, the new one (empty:
-- as it is), the time to live in ms.
-- Gives 1; or, when anything has changed meanwhile, what the keys hold now.
local call, key, ttl = redis.call, KEYS[1], tonumber(ARGV[3])
if not ttl or ttl < 1 or ttl > 34560000000 then error('bad time to live') end
local held = call('MGET', unpack(KEYS))
if held[1] ~= ARGV[1] or held[2] then return held end

local left = call('PTTL', key)
if ARGV[2] ~= '' then
  call('SET', key, ARGV[2], 'PX', math.max(left, ttl))
elseif left < ttl then
  call('PEXPIRE', key, ttl)
end
return 1
