-- An attribute with a deadline is one field, `@until.<name>`, that holds <Unix ms>:<text>, in place of the
-- plain one. (Where another program, or a late write, has set the plain one beside it, that counts.)
local function deadline_of(name) return '@until.' .. name end
local function is_deadline(name) return name:sub(1, 7) == '@until.' end
-- <Unix ms> and <text>. What is neither has ended.
local function split_timed(field)
  local colon = field:find(':', 1, true)
  if not colon then return '0', '' end
  return field:sub(1, colon - 1), field:sub(colon + 1)
end
local function has_passed(ends, now) return (tonumber(ends) or 0) <= now end
-- What an attribute is, by its two fields (false: not there): its text, or false; and its end, if it has one.
local function live_of(plain, timed, now)
  if plain or not timed then return plain end
  local ends, text = split_timed(timed)
  if has_passed(ends, now) then return false end
  return text, ends
end

-- Adds to the counter `text` that ends at `ends`. The field holds the bare number for the moment: a Lua
-- number loses integers beyond 2^53. Gives nothing, or the error of HINCRBY: then it is as it was.
local function add_timed(key, name, ends, text, step)
  local field = deadline_of(name)
  redis.call('HSET', key, field, text)
  local added = redis.pcall('HINCRBY', key, field, step)
  local failed = type(added) == 'table'
  redis.call('HSET', key, field, ends .. ':' .. (failed and text or redis.call('HGET', key, field)))
  if failed then return added end
end
