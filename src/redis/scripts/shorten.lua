-- Lets an entry of an index end earlier: its session is frozen, and has no longer to live.
-- KEYS[1]: the index. ARGV: the session's key, how long in ms.
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
redis.call('ZADD', KEYS[1], 'XX', ('%.3f'):format(now + ARGV[2]), ARGV[1])
redis.call('ZREM', KEYS[1], ARGV[1] .. '?')
return 1
