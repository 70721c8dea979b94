-- Looks at entries of an index.
-- KEYS[1]: the index. ARGV: the sessions' keys.
-- Gives for each its score ('': there is none), and until when its session may be made (Unix ms; '0': it
-- is not being made).
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local found = {}
for i, key in ipairs(ARGV) do
  local ends = redis.call('ZSCORE', KEYS[1], key .. '?')
  found[2 * i - 1] = redis.call('ZSCORE', KEYS[1], key) or ''
  found[2 * i] = ends and tonumber(ends) > now and ('%.0f'):format(math.ceil(ends)) or '0'
end
return found
