-- Ends a session with the frozen ones that lead to it.
-- KEYS: a chain of sessions, each the successor of the one before it.
-- Gives the number of keys that were there; or, when the last one is frozen itself, its successor:
-- then nothing was erased, and the caller asks again with that key added.
local head = redis.call('HMGET', KEYS[#KEYS], '@created', '@frozen')
if head[2] then return head[2] end
-- A hash that is no session is none of ours to delete, but for the adopting (ARGV[1]).
if not head[1] and ARGV[1] ~= '1' then
  table.remove(KEYS)
  if #KEYS == 0 then return 0 end
end
return redis.call('UNLINK', unpack(KEYS))
