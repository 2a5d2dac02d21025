-- value_store.lua KEYS={value, lock} ARGV={token, value, fetch_ms, ttl_ms, stale_ms}: 1 stored, 0 lost the lock
-- Only the holder of the lock stores: what a slower, older holder brings would overwrite what is newer.
if redis.call("GET", KEYS[2]) ~= ARGV[1] then return 0 end
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call("HSET", KEYS[1], "value", ARGV[2], "stored", now, "expires", now + ARGV[4], "fetch_ms", ARGV[3])
redis.call("PEXPIRE", KEYS[1], ARGV[4] + ARGV[5])
return 1
