-- Follows a write without a script that has put back attributes which had been removed meanwhile: takes
-- what that write has set out again, if the session holds more than twice its bound by now. Follows
-- timed.lua.
-- KEYS[1]: the session. ARGV: the most bytes and attributes (0: no bound), how many bytes of each
-- attribute are spared, then the names that were set and count.
-- Gives 1; or 2 when it was too much.
local bytes_max, attributes_max, spare = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local flat = redis.pcall('HGETALL', KEYS[1])
if flat.err then return flat.err:find('WRONGTYPE', 1, true) and 1 or flat end  -- a mark by now
local bytes, attributes = 0, 0
for i = 1, #flat, 2 do
  local name = flat[i]
  if name:byte(1) ~= 64 or is_deadline(name) then
    bytes, attributes = bytes + math.max(0, #name + #flat[i + 1] - spare), attributes + 1
  end
end
local too_many = attributes_max > 0 and attributes > 2 * attributes_max
local too_large = bytes_max > 0 and bytes > 2 * bytes_max
if not ARGV[4] or not (too_many or too_large) then return 1 end
redis.call('HDEL', KEYS[1], unpack(ARGV, 4))
return 2
