-- Drops entries of an index whose session is not there, and never will be: what its own node says of that
-- is from after the entry was last looked at (look.lua).
-- KEYS[1]: the index. ARGV: for each, the session's key, its score then, and whether its session was
-- kept from being made ('1').
for i = 1, #ARGV, 3 do
  local key = ARGV[i]
  local ends, time = redis.call('ZSCORE', KEYS[1], key .. '?'), redis.call('TIME')
  local is_written = ends and tonumber(ends) > time[1] * 1000 + time[2] / 1000 and ARGV[i + 2] ~= '1'
  if not is_written and redis.call('ZSCORE', KEYS[1], key) == ARGV[i + 1] then
    redis.call('ZREM', KEYS[1], key, key .. '?')
  end
end
return 1
