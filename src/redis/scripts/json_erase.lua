-- Ends the session that a chain of marks leads to.
-- KEYS: the keys of a session and of its mark in turn, each pair the successor of the one before it.
-- ARGV: how long a mark stays in ms, and its text.
-- Gives 1; or 0 when there is none; or, when there is a mark in the last pair, that mark: then nothing
-- was ended, and the caller asks again with its successor added.
local grace = tonumber(ARGV[1]) or error('bad argument')
local mark = redis.call('GET', KEYS[#KEYS])
if mark then return mark end

-- From here on nothing can fail. UNLINK comes first: after it Redis no longer checks its memory limit.
if redis.call('UNLINK', KEYS[#KEYS - 1]) == 0 then return 0 end
if grace >= 1 then redis.pcall('SET', KEYS[#KEYS], ARGV[2], 'PX', grace) end
for i = 2, #KEYS - 2, 2 do
  local head = (redis.call('GET', KEYS[i]) or ''):match('^frozen( [^\n]*\n)')
  if head then redis.pcall('SET', KEYS[i], 'over' .. head, 'XX', 'KEEPTTL') end
end
return 1
