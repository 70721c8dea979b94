-- Moves a session to a new key, if its text still is what was read.
-- KEYS[1] the session, KEYS[2] its mark, KEYS[3] the new session, KEYS[4] its mark. ARGV: the text that was
-- read, the new one, the time to live in ms, the grace in ms, what the mark begins with, whether the text that was read
-- follows in it ('1').
-- Gives 1; or, when anything has changed meanwhile, what the keys hold now.
local call, ttl, grace = redis.call, tonumber(ARGV[3]), tonumber(ARGV[4])
if not ttl or ttl < 1 or ttl > 34560000000 then error('bad time to live') end
local held = call('MGET', unpack(KEYS))
if held[1] ~= ARGV[1] or held[2] or held[3] or held[4] then return held end

-- From here on nothing can fail. SET comes first: if memory is short it is refused as a whole.
local left = call('PTTL', KEYS[1])
call('SET', KEYS[3], ARGV[2], 'PX', math.max(left, ttl))
if grace >= 1 then
  local readable = ARGV[6] == '1'
  if readable and left >= 0 then grace = math.max(1, math.min(grace, left)) end
  call('SET', KEYS[2], ARGV[5] .. (readable and ARGV[1] or ''), 'PX', grace)
end
call('UNLINK', KEYS[1])
return 1
