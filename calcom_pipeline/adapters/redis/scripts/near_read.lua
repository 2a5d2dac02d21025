-- near_read.lua KEYS={answers of an event type, epoch, generation...} ARGV={question}: {answer or "", generation...}
-- An answer is there if its time is not over and every generation is the one it was made under. A generation that is no
-- number reads as "odd", under which nothing is kept.
local generations = {}
for i = 3, #KEYS do generations[i - 2] = standing(KEYS[i], KEYS[2]) end
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
