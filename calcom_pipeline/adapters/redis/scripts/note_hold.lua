-- note_hold.lua KEYS={held} ARGV={ms until the hold ends, ":<zone>:<day>" endings, or none for all days}: days noted
-- Whatever day with such an ending is stored before then lives no longer than the hold (store_days.lua).
local now = redis.call("TIME")
local now_ms = tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)
local ends = string.format("%.0f", now_ms + tonumber(ARGV[1]))
if redis.call("TYPE", KEYS[1]).ok ~= "zset" then redis.call("DEL", KEYS[1]) end
redis.call("ZREMRANGEBYSCORE", KEYS[1], "-inf", string.format("%.0f", now_ms))
for i = 2, math.max(#ARGV, 2) do redis.call("ZADD", KEYS[1], ends, ends .. (ARGV[i] or "")) end
local last = redis.call("ZRANGE", KEYS[1], -1, -1, "WITHSCORES")
redis.call("PEXPIREAT", KEYS[1], last[2])
return math.max(#ARGV - 1, 1)
