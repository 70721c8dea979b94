-- Ends a session with the frozen ones that lead to it, and their entries in their principals' indexes.
-- Follows unindex.lua.
-- KEYS: a chain of sessions, each the successor of the one before it; then the indexes. ARGV: adopt ('1':
-- take hashes without @created), number of sessions, the principals of the indexes.
-- Gives the number of keys that were there. Or, when somebody is missing among the KEYS, a list: the
-- successor of the last session ('': none), then principals. Nothing was ended then, and the caller
-- asks again with these added.
local adopt, sessions = ARGV[1] == '1', tonumber(ARGV[2]) or error('bad argument')
local known = {}
for i = 3, #ARGV do known[ARGV[i]] = true end

local chain, missing = {}, {''}
for i = 1, sessions do
  local head = redis.call('HMGET', KEYS[i], '@created', '@frozen', '@user')
  local user = head[3]
  if i == sessions and head[2] then missing[1] = head[2] end
  -- A hash that is no session is none of ours to delete, but for the adopting.
  if head[1] or head[2] or adopt then
    chain[#chain + 1] = KEYS[i]
    if user and not known[user] then
      known[user] = true
      missing[#missing + 1] = user
    end
  end
end
if #missing > 1 or missing[1] ~= '' then return missing end
if #chain == 0 then return 0 end

local ended = redis.call('UNLINK', unpack(chain))
for i = sessions + 1, #KEYS do unlist_sessions(KEYS[i], chain) end
return ended
