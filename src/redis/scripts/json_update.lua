-- Replaces the text of a session, if it still is what was read.
-- KEYS[1] the session, KEYS[2] its mark. ARGV: the text that was read, the new one (empty:
-- as it is), the time to live in ms, how much may be left of it for a renewal to be due.
-- Gives 1; or, when anything has changed meanwhile, what the keys hold now.
local call, key, ttl, renew_at = redis.call, KEYS[1], tonumber(ARGV[3]), tonumber(ARGV[4])
if not ttl or ttl < 1 or ttl > 34560000000 or not renew_at then error('bad time to live') end
local held = call('MGET', unpack(KEYS))
if held[1] ~= ARGV[1] or held[2] then return held end

local renews = call('PTTL', key) <= renew_at
if ARGV[2] == '' then
  if renews then call('PEXPIRE', key, ttl) end
elseif renews then
  call('SET', key, ARGV[2], 'PX', ttl)
else
  call('SET', key, ARGV[2], 'KEEPTTL')
end
return 1
