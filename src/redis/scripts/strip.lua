-- Takes from a frozen record what can be read in it. Follows mark.lua.
-- KEYS[1]: the record.
strip_mark(KEYS[1])
return 1
