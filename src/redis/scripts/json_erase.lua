-- Ends a session with the frozen ones that lead to it.
-- KEYS: session and frozen record in turn, each pair the successor of the one before it.
-- Gives the number of keys that were there; or, when the last one is frozen itself, that record:
-- then nothing was erased, and the caller asks again with its successor added.
local frozen = redis.call('GET', KEYS[#KEYS])
if frozen then return frozen end
return redis.call('UNLINK', unpack(KEYS))
