-- take_requests.lua KEYS={bucket} ARGV={requests a minute, wanted, least}: {granted: none if fewer than least, ms until there is one}
local now = redis.call("TIME")
local at = now[1] * 1000000 + now[2]
local most = math.max(1, tonumber(ARGV[1]))
local left, since = most, at
if redis.call("TYPE", KEYS[1]).ok == "hash" then
  local kept = redis.call("HMGET", KEYS[1], "left", "at")
  left, since = tonumber(kept[1]) or most, tonumber(kept[2]) or at
else
  redis.call("DEL", KEYS[1])
end
left = math.min(most, left + math.max(0, at - since) * ARGV[1] / 60000000)
local granted = math.min(tonumber(ARGV[2]), math.floor(left))
if granted < tonumber(ARGV[3]) then granted = 0 end
left = left - granted
redis.call("HSET", KEYS[1], "left", string.format("%.6f", left), "at", string.format("%.0f", at))
redis.call("PEXPIRE", KEYS[1], 120000)
return {granted, math.ceil(math.max(0, 1 - left) * 60000 / ARGV[1])}
