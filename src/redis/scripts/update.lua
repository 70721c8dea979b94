-- Changes a session, and never makes one. Follows mark.lua, timed.lua, index.lua, unindex.lua,
-- limits.lua and change.lua, whose keys and arguments these are.
local left = redis.call('PTTL', KEYS[1])
if left == -2 then return {'gone'} end
local head = redis.pcall('HMGET', KEYS[1], '@created', '@user')
if is_no_hash(head) then return {'gone'} end
if head.err then return head end
if not head[1] and not adopt then return {'gone'} end

local refused = refusal()
if refused then return refused end

if not head[1] then put('@created', ARGV[1]) end
for _, name in ipairs(to_reap) do
  if expired(redis.call('HGET', KEYS[1], deadline_of(name))) then doom(deadline_of(name)) end
end
if clear > 0 then
  for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do
    if is_cleared(name) then doom(name) end
  end
end
local deleted, passes = {}, kept['@user'] and kept['@user'] ~= head[2]
for _, name in ipairs(doomed) do
  if not kept[name] then
    deleted[#deleted + 1] = name
    passes = passes or name == '@user'
  end
end
passes = passes and head[2]  -- from whom to somebody else, or to nobody
if passes and passes ~= former and not index_is_apart then return ask_for(passes) end

local large = bytes_max > 0
  or attributes_max > 0 and redis.call('HLEN', KEYS[1]) + #fields / 2 > attributes_max
if #fields > 0 and large then
  local removed = {}
  for _, name in ipairs(doomed) do removed[name] = true end
  local function is_removed(name) return removed[name] end
  local flat = redis.call('HGETALL', KEYS[1])
  if outgrows(flat, is_removed, fields, 1, bytes_max, attributes_max, now, spare) then return {'too_large'} end
end

-- From here on nothing can fail. What may need memory comes first, as in set.lua.
-- @created always stays, so the hash is never empty between the steps.
local grows, renews = #fields > 0 or #added > 0, left <= renew_at
if renews and not grows then redis.call('PEXPIRE', KEYS[1], ttl) end
if listed and (renews or kept['@user'] or not head[1]) then
  local failed = list_session(KEYS[2], KEYS[1], renews and ttl or left)
  if failed then return failed end
end
write(KEYS[1])
call_with('HDEL', KEYS[1], deleted)
if renews and grows then redis.call('PEXPIRE', KEYS[1], ttl) end
if kept['@user'] and left > covered then redis.call('PEXPIRE', KEYS[1], covered) end
if passes then unlist_sessions(KEYS[#KEYS], {KEYS[1]}) end
return applied(KEYS[1])
