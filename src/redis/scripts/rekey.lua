-- Moves a session from KEYS[1] to KEYS[2], and leaves a mark. Follows mark.lua, timed.lua, index.lua,
-- unindex.lua, limits.lua and change.lua, whose keys and arguments these are; after them come the grace
-- in ms, and whether the old state can be read meanwhile ('1').
local grace, readable = take_number(), take() == '1'
local left = redis.call('PTTL', KEYS[1])
local head = left == -2 and {} or redis.pcall('HMGET', KEYS[1], '@created', '@user')
local to_exists = redis.call('EXISTS', KEYS[2]) == 1
local mark = is_no_hash(head) and mark_under(KEYS[1])

-- Asked for again: the first time has done it all.
local has_moved = mark and mark.successor == KEYS[2]
local barred = index_is_apart and to_exists and is_barred(KEYS[2])
if has_moved or left == -2 and to_exists and not barred then return applied(KEYS[2]) end
if is_no_hash(head) or barred then return {'gone'} end
if head.err then return head end
if left == -2 or not head[1] and not adopt then return {'gone'} end

local refused = refusal()
if refused then return refused end
if to_exists then return {'key_exists'} end
local user = head[2]
if user and user ~= former then return ask_for(user) end

-- The new hash: what is live now, with the changes on top.
local dropped = {}
for _, name in ipairs(doomed) do dropped[name] = true end
local flat = redis.call('HGETALL', KEYS[1])
local state = {}
for i = 1, #flat, 2 do state[flat[i]] = flat[i + 1] end
local function stays(name)
  local over = is_deadline(name) and expired(state[name])
  return not is_cleared(name) and not dropped[name] and not over
end
local function is_removed(name) return not stays(name) end
local bounded = bytes_max > 0 or attributes_max > 0
if bounded and outgrows(flat, is_removed, fields, 1, bytes_max, attributes_max, now, spare) then
  return {'too_large'}
end
local copy = {}
for name, text in pairs(state) do
  if stays(name) then
    copy[#copy + 1] = name
    copy[#copy + 1] = text
  end
end
if not head[1] then
  copy[#copy + 1] = '@created'
  copy[#copy + 1] = ARGV[1]
end

local life = math.max(left, ttl)
if life > covered then return {'longer', ('%.0f'):format(life)} end  -- (apart.lua)

-- From here on nothing can fail. The index and HSET come first: if memory is short, the first of them
-- is refused as a whole.
if listed then
  local failed = list_session(KEYS[3], KEYS[2], life)
  if failed then return failed end
end
-- A user without the right to PEXPIRE must not leave a session without an expiry behind.
call_with('HSET', KEYS[2], copy)
local expiry = redis.pcall('PEXPIRE', KEYS[2], life)
if type(expiry) == 'table' then
  redis.call('UNLINK', KEYS[2])
  return expiry
end
write(KEYS[2])
local user_after = user
if kept['@user'] then
  user_after = kept['@user']
elseif dropped['@user'] then
  user_after = false
end
readable = readable and user == user_after
if grace < 1 then
  redis.call('UNLINK', KEYS[1])
else
  if readable and left >= 0 then grace = math.max(1, math.min(grace, left)) end
  local relation = user == user_after and 'same' or 'other'
  local failed = put_mark(KEYS[1], grace, relation, KEYS[2], readable and flat)
  if failed then
    redis.call('UNLINK', KEYS[2])
    return failed
  end
end
if user and grace >= 1 and readable then
  shorten_entry(KEYS[#KEYS], KEYS[1], grace)
elseif user then
  unlist_sessions(KEYS[#KEYS], {KEYS[1]})
end
local answer = applied(KEYS[2])
if index_is_apart and not user then answer[1] = 'nobodys' end  -- no entry is to go
return answer
