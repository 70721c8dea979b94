-- Takes the key of a session that may be being written, so that it never will be. Follows mark.lua.
-- KEYS[1]: the key. ARGV[1]: up to when (Unix ms).
-- Gives 1; or 0 when a session is there.
local kind = redis.call('TYPE', KEYS[1]).ok
if kind == 'hash' then return 0 end
if kind ~= 'none' then return 1 end  -- a mark: it was there, and has ended
local ttl = math.ceil(tonumber(ARGV[1]) - unix_ms())
if ttl < 1 then return 1 end
return put_mark(KEYS[1], ttl, 'barred', '') or 1
