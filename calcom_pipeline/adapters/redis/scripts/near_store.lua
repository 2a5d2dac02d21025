-- near_store.lua KEYS={answers of an event type, epoch, (generation, held)...} ARGV={question, answer, life_ms, most answers, generation seen...}: 1 kept, 0 not
-- Nothing is kept that was made of days cleared since, nor beyond the end of a hold of one of the event types.
local generations = {}
local now = redis.call("TIME")
local now_ms = tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)
local ends = now_ms + tonumber(ARGV[3])
for i = 3, #KEYS, 2 do
  local seen = ARGV[4 + (i - 1) / 2]
  if seen == "odd" or standing(KEYS[i], KEYS[2]) ~= seen then return 0 end
  generations[(i - 1) / 2] = seen
  if redis.call("TYPE", KEYS[i + 1]).ok == "zset" then
    local held = redis.call("ZRANGEBYSCORE", KEYS[i + 1], "(" .. string.format("%.0f", now_ms), "+inf", "WITHSCORES", "LIMIT", 0, 1)
    if held[2] then ends = math.min(ends, tonumber(held[2])) end
  end
end
if ends <= now_ms then return 0 end
local kind = redis.call("TYPE", KEYS[1]).ok
if kind ~= "none" and (kind ~= "hash" or redis.call("HLEN", KEYS[1]) >= tonumber(ARGV[4])) then redis.call("DEL", KEYS[1]) end
local left = redis.call("PTTL", KEYS[1])
redis.call("HSET", KEYS[1], ARGV[1], string.format("%.0f", ends) .. " " .. table.concat(generations, ",") .. " " .. ARGV[2])
redis.call("PEXPIREAT", KEYS[1], string.format("%.0f", math.max(ends, now_ms + left)))
return 1
