-- Drops entries of an index, but for those whose session is being written (announce.lua).
-- KEYS[1]: the index. ARGV: the sessions' keys.
-- Gives, for each of those that stay, its number in ARGV and the end of its second entry.
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local stay = {}
for i, key in ipairs(ARGV) do
  local ends = redis.call('ZSCORE', KEYS[1], key .. '?')
  if ends and tonumber(ends) > now then
    stay[#stay + 1] = i
    stay[#stay + 1] = ends
  else
    redis.call('ZREM', KEYS[1], key, key .. '?')
  end
end
return stay
