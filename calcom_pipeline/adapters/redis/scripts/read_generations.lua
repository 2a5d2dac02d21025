-- read_generations.lua KEYS={generation..., settling...} ARGV={}: {value, ms that a clearing still settles}... ("0", 0 for one never cleared)
-- One that is no number (or no text at all) becomes the server's time in microseconds: a number it never had before.
local now = redis.call("TIME")
local answer = {}
local count = #KEYS / 2
for i = 1, count do
  local key = KEYS[i]
  local value = "0"
  local kind = redis.call("TYPE", key).ok
  if kind == "string" then value = redis.call("GET", key) end
  if (kind ~= "string" and kind ~= "none") or not string.match(value, "^%d+$") or string.len(value) > 16 then
    value = now[1] .. string.format("%06d", now[2])
    redis.call("SET", key, value, "EX", 86400)
  end
  answer[i] = {value, math.max(redis.call("PTTL", KEYS[count + i]), 0)}
end
return answer
