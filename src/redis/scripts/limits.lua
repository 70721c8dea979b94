-- Whether a write would make a session grow beyond what it may hold. `bytes_max`, `attributes_max`: 0
-- for no bound. Fields that start with '@' do not count, but for attributes with a deadline. Follows
-- timed.lua.
--
-- All attributes are only added up for a write that is large: one with at least a share of
-- bytes_max / attributes_max. Smaller ones add up to bytes_max at most, as there are so few attributes;
-- so no session grows beyond twice the bound, and what most requests write costs one HLEN. For small
-- ones the caller gives 0 as bytes_max.

-- `flat`: the session's fields. `list`: those to write, from index `first` on. `removed(name)`: whether
-- the write removes a field (unless it is in the list as well). What has ended at `now` does not count,
-- nor do `spare` bytes of each attribute.
local function outgrows(flat, removed, list, first, bytes_max, attributes_max, now, spare)
  -- Most sessions are so small that whatever the write replaces or removes may be counted twice.
  local most, fields = 0, (#flat + #list - first + 1) / 2
  for i = 1, #flat do most = most + #flat[i] end
  for i = first, #list do most = most + #list[i] end
  local few = attributes_max == 0 or fields <= attributes_max
  if few and (bytes_max == 0 or most <= bytes_max) then return false end

  local share = attributes_max > 0 and bytes_max / attributes_max or 0
  local sizes = {}
  -- A field with what its attribute takes: nothing when it has ended. An attribute that is in both forms
  -- takes room twice, and is one.
  local function put(field, text)
    local name = field
    if is_deadline(field) then
      local ends, rest = split_timed(text)
      name, text = field:sub(8), not has_passed(ends, now) and rest or nil
    end
    if name:byte(1) ~= 64 then sizes[field] = text and math.max(0, #name + #text - spare) end
  end
  local function weigh()
    local count, bytes, surplus = 0, 0, 0
    for field, size in pairs(sizes) do
      local is_twin = is_deadline(field) and sizes[field:sub(8)]
      count, bytes, surplus = count + (is_twin and 0 or 1), bytes + size, surplus + math.max(0, size - share)
    end
    return count, bytes, surplus
  end
  for i = 1, #flat, 2 do put(flat[i], flat[i + 1]) end
  local count, bytes, surplus = weigh()
  sizes = {}
  for i = 1, #flat, 2 do
    if not removed(flat[i]) then put(flat[i], flat[i + 1]) end
  end
  for i = first, #list, 2 do put(list[i], list[i + 1]) end
  local count_after, bytes_after, surplus_after = weigh()
  if attributes_max > 0 and count_after > attributes_max and count_after > count then return true end
  -- A session beyond the bound may shrink, but not into few large attributes that leave room for
  -- many small ones.
  return bytes_max > 0 and bytes_after > bytes_max
    and (bytes_after > bytes or surplus_after > surplus)
end
