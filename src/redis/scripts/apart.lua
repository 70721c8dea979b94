-- In place of index.lua and unindex.lua, where the index of a session's principal is on another server
-- of a Cluster. Its entry was written before (announce.lua), and allows what the last two of ARGV say:
-- how much life a session may get, in ms, and the latest moment of this write, in Unix ms by this
-- server's clock. (It may have lain at a server that stood still, and must not outlive its entry.)
local index_is_apart = true
local latest, covered = tonumber(table.remove(ARGV)), tonumber(table.remove(ARGV))
if not latest or not covered then error('bad argument') end
-- Whether nothing may be made under the key (bar.lua).
local function is_barred(key)
  local text = redis.pcall('GET', key)
  return type(text) == 'string' and text:find('^@over 1 %d+ barred ')
end
local function list_session() end
local function unlist_sessions() end
local function shorten_entry() end
do
  local time = redis.call('TIME')
  if time[1] * 1000 + time[2] / 1000 > latest then return redis.error_reply('TOOLATE to write') end
end
