-- value_read.lua KEYS={value} ARGV={}: {value, age_ms, ms until it expires (negative: stale), fetch_ms} or {} for none
local found = redis.call("HMGET", KEYS[1], "value", "stored", "expires", "fetch_ms")
if not (found[1] and found[2] and found[3] and found[4]) then return {} end
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
return {found[1], now - found[2], found[3] - now, tonumber(found[4])}
