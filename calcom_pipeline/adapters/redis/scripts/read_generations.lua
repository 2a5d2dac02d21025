-- read_generations.lua KEYS={epoch, settling of all, (generation, settling)...} ARGV={settle_ms}: {value, ms that a clearing still settles}...
-- Without an epoch (a server that was flushed) one begins, and settles. A generation that is no number becomes the
-- server's time in microseconds: a number it never had before.
local now = redis.call("TIME")
local fresh = now[1] .. string.format("%06d", now[2])
local epoch = redis.call("TYPE", KEYS[1]).ok == "string" and redis.call("GET", KEYS[1]) or ""
if not string.match(epoch, "^%d+$") or string.len(epoch) > 16 then
  redis.call("SET", KEYS[1], fresh)
  if tonumber(ARGV[1]) > 0 then redis.call("SET", KEYS[2], "1", "PX", ARGV[1]) end
end
local answer, all = {}, math.max(redis.call("PTTL", KEYS[2]), 0)
for i = 3, #KEYS, 2 do
  local value = standing(KEYS[i], KEYS[1])
  if value == "odd" then
    value = fresh
    redis.call("SET", KEYS[i], value, "EX", 86400)
  end
  answer[(i - 1) / 2] = {value, math.max(redis.call("PTTL", KEYS[i + 1]), all)}
end
return answer
