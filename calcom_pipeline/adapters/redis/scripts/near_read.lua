-- near_read.lua KEYS={answers of an event type, generation...} ARGV={question}: {answer or "", generation...}
-- An answer is there if its time is not over and every generation is the one it was made under. A generation that is no
-- number reads as "odd", under which nothing is kept.
local generations = {}
for i = 2, #KEYS do
  local kind, value = redis.call("TYPE", KEYS[i]).ok, "0"
  if kind == "string" then value = redis.call("GET", KEYS[i]) end
  if (kind ~= "string" and kind ~= "none") or not string.match(value, "^%d+$") then value = "odd" end
  generations[i - 1] = value
end
local answer = ""
if redis.call("TYPE", KEYS[1]).ok == "hash" then
  local kept = redis.call("HGET", KEYS[1], ARGV[1])
  local ends, under, text
  if kept then ends, under, text = string.match(kept, "^(%d+) (%S+) (.*)$") end
  local now = redis.call("TIME")
  local now_ms = tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)
  if text and tonumber(ends) > now_ms and under == table.concat(generations, ",") then answer = text end
end
return {answer, unpack(generations)}
