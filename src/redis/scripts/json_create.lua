-- Stores a new session.
-- KEYS[1] the session, KEYS[2] its mark. ARGV: the text, the time to live in ms.
-- Gives 1, or 0 when the key is taken.
if redis.call('GET', KEYS[2]) then return 0 end
return redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2], 'NX') and 1 or 0
