-- What stays under the key of a session that was replaced or has ended: a string, so that the commands
-- of hashes refuse it. Its text:
--   @frozen 1 <end> same <size>:<successor>\n and the old fields, each <size>:<size>:<name><text>
--   @over 1 <end> <relation> <size>:<successor>\n
-- <end>: in Unix ms by this server's clock. A late PEXPIRE may make the key live longer, so the end
-- counts. <successor>: its key; empty when there is none. <relation>: `same` when the successor is the
-- same principal's, else `other`; or `barred`, where a session was kept from being made (bar.lua).

-- Whether a command (by pcall) was refused because there is no hash under its key.
local function is_no_hash(reply)
  return reply.err and reply.err:find('WRONGTYPE', 1, true)
end

local function mark_head(word, ends, relation, successor)
  return '@' .. word .. ' 1 ' .. ends .. ' ' .. relation .. ' ' .. #successor .. ':' .. successor .. '\n'
end

local function unix_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- The parts of a mark, and whether its end has passed, or nil.
local function mark_under(key)
  local text = redis.pcall('GET', key)
  if type(text) ~= 'string' then return nil end
  local word, ends, relation, size, from = text:match('^@(%a+) 1 (%d+) (%a+) (%d+):()')
  if not word then return nil end
  return {
    word = word, ends = ends, relation = relation, successor = text:sub(from, from + size - 1),
    has_ended = tonumber(ends) <= unix_ms()
  }
end

-- Of a session that has ended.
local function over_mark(ttl)
  return mark_head('over', ('%.0f'):format(unix_ms() + ttl), 'other', '')
end

-- Puts a mark in the place of what is there, for `ttl` ms. `flat`: what can be read, if there is any.
-- Gives nothing, or the error of a user without the right to SET.
local function put_mark(key, ttl, relation, successor, flat)
  local ends = ('%.0f'):format(unix_ms() + ttl)
  local parts = {mark_head(flat and 'frozen' or 'over', ends, relation, successor)}
  for i = 1, flat and #flat or 0, 2 do
    local name, text = flat[i], flat[i + 1]
    parts[#parts + 1] = #name .. ':' .. #text .. ':' .. name .. text
  end
  local put = redis.pcall('SET', key, table.concat(parts), 'PX', ttl)
  if put.err then return put end
end

-- Puts a text in the place of what is there, for `ttl` ms, though memory is short: after any write of a
-- script Redis no longer checks its limit. The key is there all the time: in a slot that is being moved,
-- a missing one is another node's, and could not be set. Whatever fails, what was there is gone.
local function replace(key, ttl, text)
  local written = ttl >= 1 and redis.pcall('PEXPIRE', key, ttl)
  if type(written) ~= 'number' then redis.call('UNLINK', key) end
  if ttl < 1 then return end
  local put = redis.pcall('SET', key, text, 'PX', ttl)
  if put.err then redis.call('UNLINK', key) end
end

-- Takes from a mark what can be read in it. (One that was told to stay for ever goes as a whole.)
local function strip_mark(key)
  local mark = mark_under(key)
  if not mark or mark.word ~= 'frozen' then return end
  replace(key, redis.call('PTTL', key), mark_head('over', mark.ends, mark.relation, mark.successor))
end
