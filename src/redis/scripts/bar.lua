-- Takes the key of a session that may be being made, so that it never will be. Follows mark.lua.
-- KEYS[1]: the key. ARGV: up to when (Unix ms; 0: it is only looked at), the principal.
-- Gives 1; or 0 when a session of the principal is there, or 2 when somebody else's is.
local kind = redis.call('TYPE', KEYS[1]).ok
if kind == 'hash' then return redis.call('HGET', KEYS[1], '@user') == ARGV[2] and 0 or 2 end
if kind ~= 'none' then return 1 end  -- a mark: it was there, and has ended
local ttl = tonumber(ARGV[1]) - unix_ms()
if ttl < 1 then return 1 end
-- Though memory is short: after any write of a script Redis no longer checks.
redis.call('UNLINK', KEYS[1])
return put_mark(KEYS[1], ttl, 'barred', '') or 1
