-- What update and rekey share: reading the arguments, and all checks before the first write. Follows
-- timed.lua.
-- KEYS[1]: the session. After all sessions: the index of the principal that the session will have, if
-- there is one; and last that of the one whom it had (`former`), if that is known and another. ARGV:
--   now and time to live in ms, how much of it may be left for a renewal to be due,
--   adopt ('1': take a hash without @created), clear ('1': the attributes; '2': and what is the
--   library's, but @created and @user),
--   the most bytes and attributes, and the bytes that each is spared (limits.lua),
--   whether the session will be listed ('1'), the former principal ('': none that is known),
--   number of expectations, each: name, number of texts, the texts (none: must be absent),
--   number of counters, each: name, step, the value beyond which the step would overflow,
--   number of fields to set, each: name, text,
--   number of names to remove, the names,
--   number of names to reap, the names.
-- redis.call gives false for what is not there. A Lua number is a double and loses integers beyond
-- 2^53, so counters are only ever handled as text.
local taken = 0
local function take()
  taken = taken + 1
  return ARGV[taken]
end
local function take_number()
  return tonumber(take()) or error('bad argument ' .. taken)
end
local function take_list(take_one)
  local list = {}
  for i = 1, take_number() do list[i] = take_one() end
  return list
end

local now, ttl, renew_at = take_number(), take_number(), take_number()
local adopt, clear = take() == '1', take_number()
local bytes_max, attributes_max, spare = take_number(), take_number(), take_number()
local listed, former = take() == '1', take()
local expectations = take_list(function() return {name = take(), texts = take_list(take)} end)
local counters = take_list(function() return {name = take(), step = take(), limit = take()} end)

-- Fields to write; `kept` has their texts by name. Names to delete, unless they are kept.
local fields, kept, doomed = {}, {}, {}
local function put(name, text)
  fields[#fields + 1] = name
  fields[#fields + 1] = text
  kept[name] = text
end
local function doom(name) doomed[#doomed + 1] = name end

-- Whether a field goes, unless it is set.
local function is_cleared(name)
  if clear == 0 then return false end
  if is_deadline(name) then name = name:sub(8) end
  if name:sub(1, 1) ~= '@' then return true end
  return clear == 2 and name ~= '@created' and name ~= '@user'
end
-- Whether a field with a deadline (false: there is none) has ended.
local function expired(field) return field and has_passed(split_timed(field), now) end

for _ = 1, take_number() do
  local name = take()
  put(name, take())
  -- An attribute is in one form or the other.
  doom(is_deadline(name) and name:sub(8) or deadline_of(name))
end
for _, name in ipairs(take_list(take)) do
  doom(name)
  doom(deadline_of(name))
end
local to_reap = take_list(take)

-- A live attribute's text, or false; and its deadline, if it has one.
local function live(name)
  local pair = redis.call('HMGET', KEYS[1], name, deadline_of(name))
  return live_of(pair[1], pair[2], now)
end

-- a <= b, for canonical integers of any length
local function at_most(a, b)
  local negative = a:sub(1, 1) == '-'
  if negative ~= (b:sub(1, 1) == '-') then return negative end
  if #a ~= #b then return (#a < #b) ~= negative end
  if negative then return a >= b end
  return a <= b
end

local function is_integer(text)
  return (text == '0' or text:match('^%-?[1-9]%d*$'))
    and at_most('-9223372036854775808', text) and at_most(text, '9223372036854775807')
end

-- Makes all checks, and writes nothing. Gives the answer that ends the script, or nil. Counters that
-- can be added to are left in `added`; one that is not there is a field to set.
local added = {}
local function refusal()
  if ttl < 1 or ttl > 34560000000 then error('bad time to live') end
  for _, expectation in ipairs(expectations) do
    local text = live(expectation.name)
    local holds = #expectation.texts == 0 and not text
    for _, expected in ipairs(expectation.texts) do holds = holds or expected == text end
    if not holds then return {'conflict', text or nil} end
  end
  for _, counter in ipairs(counters) do
    local text, ends
    if clear == 0 then text, ends = live(counter.name) end
    local down = counter.step:sub(1, 1) == '-'
    if not text then
      put(counter.name, counter.step)
      doom(deadline_of(counter.name))
    elseif not is_integer(text) then
      return {'not_integer'}
    elseif down and not at_most(counter.limit, text) or not down and not at_most(text, counter.limit)
    then
      return {'overflow'}
    else
      counter.text, counter.ends = text, ends
      added[#added + 1] = counter
    end
  end
end

-- Lua passes a few thousand values at once, so long lists go in pieces.
local function call_with(command, key, list)
  for i = 1, #list, 2000 do
    redis.call(command, key, unpack(list, i, math.min(i + 1999, #list)))
  end
end

local function write(key)
  call_with('HSET', key, fields)
  for _, counter in ipairs(added) do
    if counter.ends then
      add_timed(key, counter.name, counter.ends, counter.text, counter.step)
    else
      redis.call('HINCRBY', key, counter.name, counter.step)
    end
  end
end

-- Asks the caller to say whom the session belonged to, so that it can give the index as a key.
local function ask_for(user) return {'principal', user} end

-- {status, counters...}
local function applied(key)
  local answer = {'applied'}
  for i, counter in ipairs(counters) do
    local pair = redis.pcall('HMGET', key, counter.name, deadline_of(counter.name))
    answer[i + 1] = live_of(pair[1], pair[2], now) or '0'
  end
  return answer
end
