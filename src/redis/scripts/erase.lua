-- Ends the session that a chain of marks leads to, and its entry in its principal's index.
-- Follows mark.lua, index.lua and unindex.lua.
-- KEYS: a chain of keys, each the successor of the one before it; then the indexes. ARGV: adopt ('1':
-- take hashes without @created), number of keys in the chain, how long a mark stays in ms, the
-- principals of the indexes.
-- Gives 1; or, where the index is apart, a list: 'ended' and the principal. Or 0 when the chain leads to no
-- session. Or, when somebody is missing among the KEYS, a list:
-- the successor of the last one ('': none), then a principal. Nothing was ended then, and the caller
-- asks again with these added.
local adopt, sessions = ARGV[1] == '1', tonumber(ARGV[2]) or error('bad argument')
local grace, last = tonumber(ARGV[3]) or error('bad argument'), KEYS[sessions]
local known = {}
for i = 4, #ARGV do known[ARGV[i]] = true end

local head = redis.pcall('HMGET', last, '@created', '@user')
if is_no_hash(head) then
  local mark = mark_under(last)
  if not mark then return head end
  local leads_on = mark.relation == 'same' and mark.successor ~= '' and not mark.has_ended
  if leads_on then return {mark.successor} end
  return 0
end
if head.err then return head end
-- A hash that is no session is none of ours to delete, but for the adopting.
if not head[1] and not adopt then return 0 end
if head[2] and not known[head[2]] and not index_is_apart then return {'', head[2]} end

-- From here on nothing can fail.
if redis.call('EXISTS', last) == 0 then return 0 end
replace(last, grace, over_mark(grace))
local chain = {}
for i = 1, sessions do
  chain[i] = KEYS[i]
  if i < sessions then strip_mark(KEYS[i]) end
end
for i = sessions + 1, #KEYS do unlist_sessions(KEYS[i], chain) end
if index_is_apart and head[2] then return {'ended', head[2]} end
return 1
